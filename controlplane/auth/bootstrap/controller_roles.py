"""What each controller of the control plane may do: bound to its ServiceAccount in kube-system.

The rules are those of Kubernetes 1.36 (plugin/pkg/auth/authorizer/rbac/bootstrappolicy). How a
rule reads: see `rule_text`.
"""

from typing import Final

CONTROLLER_ROLES: Final[dict[str, tuple[str, ...]]] = {
    "attachdetach-controller": (
        "list watch: persistentvolumeclaims persistentvolumes in core",
        "get list watch: nodes in core",
        "patch update: nodes/status in core",
        "list watch: pods in core",
        "create patch update: events in core events.k8s.io",
        "create delete get list watch: volumeattachments in storage.k8s.io",
        "get list watch: csidrivers in storage.k8s.io",
        "get list watch: csinodes in storage.k8s.io",
    ),
    "certificate-controller": (
        "delete get list watch: certificatesigningrequests in certificates.k8s.io",
        (
            "update: certificatesigningrequests/approval certificatesigningrequests/status in "
            "certificates.k8s.io"
        ),
        "approve: signers in certificates.k8s.io named kubernetes.io/kube-apiserver-client-kubelet",
        (
            "sign: signers in certificates.k8s.io named kubernetes.io/kube-apiserver-client "
            "kubernetes.io/kube-apiserver-client-kubelet kubernetes.io/kubelet-serving "
            "kubernetes.io/legacy-unknown"
        ),
        "create: subjectaccessreviews in authorization.k8s.io",
        "create patch update: events in core events.k8s.io",
    ),
    "clusterrole-aggregation-controller": (
        "escalate get list patch update watch: clusterroles in rbac.authorization.k8s.io",
    ),
    "cronjob-controller": (
        "get list update watch: cronjobs in batch",
        "create delete get list patch update watch: jobs in batch",
        "update: cronjobs/status in batch",
        "update: cronjobs/finalizers in batch",
        "delete list watch: pods in core",
        "create patch update: events in core events.k8s.io",
    ),
    "daemon-set-controller": (
        "get list watch: daemonsets in apps extensions",
        "update: daemonsets/status in apps extensions",
        "update: daemonsets/finalizers in apps extensions",
        "list watch: nodes in core",
        "create delete list patch watch: pods in core",
        "create: pods/binding in core",
        "create delete get list patch update watch: controllerrevisions in apps",
        "create patch update: events in core events.k8s.io",
    ),
    "deployment-controller": (
        "get list update watch: deployments in apps extensions",
        "update: deployments/status in apps extensions",
        "update: deployments/finalizers in apps extensions",
        "create delete get list patch update watch: replicasets in apps extensions",
        "get list update watch: pods in core",
        "create patch update: events in core events.k8s.io",
    ),
    "device-taint-eviction-controller": (
        "delete get list watch: pods in core",
        "patch update: pods/status in core",
        "get list watch: resourceclaims in resource.k8s.io",
        "get list watch: resourceslices in resource.k8s.io",
        "get list watch: deviceclasses in resource.k8s.io",
        "create patch update: events in core events.k8s.io",
    ),
    "disruption-controller": (
        "get list watch: deployments in apps extensions",
        "get list watch: replicasets in apps extensions",
        "get list watch: replicationcontrollers in core",
        "get list watch: poddisruptionbudgets in policy",
        "get list watch: statefulsets in apps",
        "update: poddisruptionbudgets/status in policy",
        "patch update: pods/status in core",
        "get: */scale in *",
        "create patch update: events in core events.k8s.io",
    ),
    "endpoint-controller": (
        "get list watch: pods services in core",
        "create delete get list update watch: endpoints in core",
        "create: endpoints/restricted in core",
        "create patch update: events in core events.k8s.io",
    ),
    "endpointslice-controller": (
        "get list watch: nodes pods services in core",
        "update: services/finalizers in core",
        "create delete get list update watch: endpointslices in discovery.k8s.io",
        "create: endpointslices/restricted in discovery.k8s.io",
        "create patch update: events in core events.k8s.io",
    ),
    "endpointslicemirroring-controller": (
        "get list watch: endpoints services in core",
        "update: services/finalizers in core",
        "update: endpoints/finalizers in core",
        "create delete get list update watch: endpointslices in discovery.k8s.io",
        "create: endpointslices/restricted in discovery.k8s.io",
        "create patch update: events in core events.k8s.io",
    ),
    "ephemeral-volume-controller": (
        "get list watch: pods in core",
        "update: pods/finalizers in core",
        "create get list watch: persistentvolumeclaims in core",
        "create patch update: events in core events.k8s.io",
    ),
    "expand-controller": (
        "get list patch update watch: persistentvolumes in core",
        "patch update: persistentvolumeclaims/status in core",
        "get list watch: persistentvolumeclaims in core",
        "create patch update: events in core events.k8s.io",
    ),
    "generic-garbage-collector": (
        "delete get list patch update watch: * in *",
        "create patch update: events in core events.k8s.io",
    ),
    "horizontal-pod-autoscaler": (
        "get list watch: horizontalpodautoscalers in autoscaling",
        "update: horizontalpodautoscalers/status in autoscaling",
        "get update: */scale in *",
        "list watch: pods in core",
        "list watch: pods in metrics.k8s.io",
        "get list watch: * in custom.metrics.k8s.io",
        "get list watch: * in external.metrics.k8s.io",
        "create patch update: events in core events.k8s.io",
    ),
    "job-controller": (
        "get list patch update watch: jobs in batch",
        "update: jobs/status in batch",
        "update: jobs/finalizers in batch",
        "create delete list patch watch: pods in core",
        "create patch update: events in core events.k8s.io",
    ),
    "legacy-service-account-token-cleaner": (
        "get: configmaps in core named kube-apiserver-legacy-service-account-token-tracking",
        "delete patch: secrets in core",
    ),
    "namespace-controller": (
        "delete get list watch: namespaces in core",
        "update: namespaces/finalize namespaces/status in core",
        "delete deletecollection get list watch: * in *",
    ),
    "node-controller": (
        "delete get list patch update watch: nodes in core",
        "patch update: nodes/status in core",
        "patch update: pods/status in core",
        "delete get list watch: pods in core",
        "create patch update: events in core events.k8s.io",
    ),
    "persistent-volume-binder": (
        "create delete get list update watch: persistentvolumes in core",
        "update: persistentvolumes/status in core",
        "get list update watch: persistentvolumeclaims in core",
        "update: persistentvolumeclaims/status in core",
        "create delete get list watch: pods in core",
        "get list watch: storageclasses in storage.k8s.io",
        "list watch: nodes in core",
        "create patch update: events in core events.k8s.io",
        "watch: events in core",
    ),
    "pod-garbage-collector": (
        "delete list watch: pods in core",
        "get list watch: nodes in core",
        "patch: pods/status in core",
    ),
    "pv-protection-controller": (
        "get list update watch: persistentvolumes in core",
        "create patch update: events in core events.k8s.io",
    ),
    "pvc-protection-controller": (
        "get list update watch: persistentvolumeclaims in core",
        "update: persistentvolumeclaims/status in core",
        "get list watch: pods in core",
        "create patch update: events in core events.k8s.io",
    ),
    "replicaset-controller": (
        "get list update watch: replicasets in apps extensions",
        "update: replicasets/status in apps extensions",
        "update: replicasets/finalizers in apps extensions",
        "create delete list patch watch: pods in core",
        "create patch update: events in core events.k8s.io",
    ),
    "replication-controller": (
        "get list update watch: replicationcontrollers in core",
        "update: replicationcontrollers/status in core",
        "update: replicationcontrollers/finalizers in core",
        "create delete list patch watch: pods in core",
        "create patch update: events in core events.k8s.io",
    ),
    "resource-claim-controller": (
        "get list watch: pods in core",
        "update: pods/finalizers in core",
        "create delete get list watch: resourceclaims in resource.k8s.io",
        "patch update: resourceclaims resourceclaims/status in resource.k8s.io",
        "patch update: pods/status in core",
        "create patch update: events in core events.k8s.io",
        "patch update: resourceclaims/binding in resource.k8s.io",
    ),
    "resourcequota-controller": (
        "list watch: * in *",
        "update: resourcequotas/status in core",
        "create patch update: events in core events.k8s.io",
    ),
    "root-ca-cert-publisher": (
        "create update: configmaps in core",
        "create patch update: events in core events.k8s.io",
    ),
    "route-controller": (
        "list watch: nodes in core",
        "patch: nodes/status in core",
        "create patch update: events in core events.k8s.io",
    ),
    "selinux-warning-controller": (
        "create patch update: events in core events.k8s.io",
        "get list watch: persistentvolumes in core",
        "get list watch: persistentvolumeclaims in core",
        "get list watch: pods in core",
        "get list watch: csidrivers in storage.k8s.io",
    ),
    "service-account-controller": (
        "create: serviceaccounts in core",
        "create patch update: events in core events.k8s.io",
    ),
    "service-cidrs-controller": (
        "get list patch update watch: servicecidrs in networking.k8s.io",
        "patch update: servicecidrs/finalizers in networking.k8s.io",
        "patch update: servicecidrs/status in networking.k8s.io",
        "get list watch: ipaddresses in networking.k8s.io",
        "create patch update: events in core events.k8s.io",
    ),
    "service-controller": (
        "get list watch: services in core",
        "patch update: services/status in core",
        "list watch: nodes in core",
        "create patch update: events in core events.k8s.io",
    ),
    "statefulset-controller": (
        "list watch: pods in core",
        "get list watch: statefulsets in apps",
        "update: statefulsets/status in apps",
        "update: statefulsets/finalizers in apps",
        "create delete get patch update: pods in core",
        "create delete get list patch update watch: controllerrevisions in apps",
        "create get list watch: persistentvolumeclaims in core",
        "delete update: persistentvolumeclaims in core",
        "update: pods/finalizers in core",
        "create patch update: events in core events.k8s.io",
    ),
    "ttl-after-finished-controller": (
        "delete get list watch: jobs in batch",
        "create patch update: events in core events.k8s.io",
    ),
    "ttl-controller": (
        "list patch update watch: nodes in core",
        "create patch update: events in core events.k8s.io",
    ),
    "validatingadmissionpolicy-status-controller": (
        "get list watch: validatingadmissionpolicies in admissionregistration.k8s.io",
        "get patch update: validatingadmissionpolicies/status in admissionregistration.k8s.io",
        "create patch update: events in core events.k8s.io",
    ),
    "volumeattributesclass-protection-controller": (
        "get list watch: persistentvolumeclaims in core",
        "get list watch: persistentvolumes in core",
        "get list update watch: volumeattributesclasses in storage.k8s.io",
        "create patch update: events in core events.k8s.io",
    ),
}
