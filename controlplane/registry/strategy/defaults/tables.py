"""Defaults that are one value, by class and field.

IF_ABSENT: fields that Go keeps as pointers, where an explicit zero or "" stays. IF_ZERO: plain
fields, where zero and absent are the same. STRUCTURES: fields that Go's encoder writes even when
nobody set them; clients in Go and templates rely on them being there.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from kubeapi.types import (
    admissionregistration_v1,
    apiregistration_v1,
    apps_v1,
    autoscaling_v1,
    autoscaling_v2,
    batch_v1,
    certificates_v1,
    coordination_v1,
    core_v1,
    discovery_v1,
    events_v1,
    flowcontrol_v1,
    meta_v1,
    networking_v1,
    policy_v1,
    rbac_v1,
    resource_v1,
    scheduling_v1,
    storage_v1,
)

Kind = type[msgspec.Struct]
Values = Mapping[Kind, Mapping[str, Any]]

FILE_MODE: Final = 0o644
RBAC_GROUP: Final = "rbac.authorization.k8s.io"
HISTORY_LIMIT: Final = 10

_WEBHOOK: Final = {
    "failurePolicy": "Fail",
    "matchPolicy": "Equivalent",
    "timeoutSeconds": 10,
}

IF_ABSENT: Final[Values] = {
    admissionregistration_v1.MatchResources: {"matchPolicy": "Equivalent"},
    admissionregistration_v1.MutatingAdmissionPolicySpec: {"failurePolicy": "Fail"},
    admissionregistration_v1.MutatingWebhook: _WEBHOOK | {"reinvocationPolicy": "Never"},
    admissionregistration_v1.NamedRuleWithOperations: {"scope": "*"},
    admissionregistration_v1.RuleWithOperations: {"scope": "*"},
    admissionregistration_v1.ServiceReference: {"port": 443},
    admissionregistration_v1.ValidatingAdmissionPolicySpec: {"failurePolicy": "Fail"},
    admissionregistration_v1.ValidatingWebhook: _WEBHOOK,
    apiregistration_v1.ServiceReference: {"port": 443},
    apps_v1.DaemonSetSpec: {"revisionHistoryLimit": HISTORY_LIMIT},
    apps_v1.DaemonSetStatus: {
        "currentNumberScheduled": 0,
        "desiredNumberScheduled": 0,
        "numberMisscheduled": 0,
        "numberReady": 0,
    },
    apps_v1.DeploymentSpec: {
        "progressDeadlineSeconds": 600,
        "replicas": 1,
        "revisionHistoryLimit": HISTORY_LIMIT,
    },
    apps_v1.ReplicaSetSpec: {"replicas": 1},
    apps_v1.ReplicaSetStatus: {"replicas": 0},
    apps_v1.RollingUpdateDaemonSet: {"maxSurge": 0, "maxUnavailable": 1},
    apps_v1.RollingUpdateDeployment: {"maxSurge": "25%", "maxUnavailable": "25%"},
    apps_v1.RollingUpdateStatefulSetStrategy: {"partition": 0},
    apps_v1.StatefulSetSpec: {
        "replicas": 1,
        "revisionHistoryLimit": HISTORY_LIMIT,
        "serviceName": "",
    },
    apps_v1.StatefulSetStatus: {"availableReplicas": 0, "replicas": 0},
    autoscaling_v1.HorizontalPodAutoscalerSpec: {"minReplicas": 1},
    autoscaling_v1.HorizontalPodAutoscalerStatus: {"currentReplicas": 0, "desiredReplicas": 0},
    autoscaling_v2.HorizontalPodAutoscalerSpec: {"minReplicas": 1},
    autoscaling_v2.HorizontalPodAutoscalerStatus: {"desiredReplicas": 0},
    batch_v1.CronJobSpec: {
        "failedJobsHistoryLimit": 1,
        "successfulJobsHistoryLimit": 3,
        "suspend": False,
    },
    core_v1.ConfigMapVolumeSource: {"defaultMode": FILE_MODE},
    core_v1.DaemonEndpoint: {"Port": 0},
    core_v1.DownwardAPIVolumeSource: {"defaultMode": FILE_MODE},
    core_v1.Event: {"reportingComponent": "", "reportingInstance": ""},
    core_v1.GRPCAction: {"service": ""},
    core_v1.HostPathVolumeSource: {"type": ""},
    core_v1.NodeSystemInfo: dict.fromkeys(
        (
            "architecture",
            "bootID",
            "containerRuntimeVersion",
            "kernelVersion",
            "kubeProxyVersion",
            "kubeletVersion",
            "machineID",
            "operatingSystem",
            "osImage",
            "systemUUID",
        ),
        "",
    ),
    core_v1.PersistentVolumeClaimSpec: {"volumeMode": "Filesystem"},
    core_v1.PersistentVolumeSpec: {"volumeMode": "Filesystem"},
    core_v1.PodSpec: {"terminationGracePeriodSeconds": 30},
    core_v1.ProjectedVolumeSource: {"defaultMode": FILE_MODE},
    core_v1.ReplicationControllerSpec: {"replicas": 1},
    core_v1.ReplicationControllerStatus: {"replicas": 0},
    core_v1.ResourceFieldSelector: {"divisor": "0"},
    core_v1.SecretVolumeSource: {"defaultMode": FILE_MODE},
    core_v1.ServiceAccountTokenProjection: {"expirationSeconds": 3600},
    discovery_v1.EndpointPort: {"name": "", "protocol": "TCP"},
    flowcontrol_v1.ExemptPriorityLevelConfiguration: {
        "lendablePercent": 0,
        "nominalConcurrencyShares": 0,
    },
    flowcontrol_v1.LimitedPriorityLevelConfiguration: {
        "lendablePercent": 0,
        "nominalConcurrencyShares": 30,
    },
    networking_v1.NetworkPolicyPort: {"protocol": "TCP"},
    policy_v1.PodDisruptionBudgetStatus: {
        "currentHealthy": 0,
        "desiredHealthy": 0,
        "disruptionsAllowed": 0,
        "expectedPods": 0,
    },
    scheduling_v1.PriorityClass: {"preemptionPolicy": "PreemptLowerPriority"},
    storage_v1.CSIDriverSpec: {
        "attachRequired": True,
        "fsGroupPolicy": "ReadWriteOnceWithFSType",
        "podInfoOnMount": False,
        "requiresRepublish": False,
        "seLinuxMount": False,
        "storageCapacity": False,
    },
    storage_v1.StorageClass: {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
    storage_v1.VolumeAttachmentStatus: {"attached": False},
}

_CONTAINER: Final = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_ISCSI: Final = {"iscsiInterface": "default"}
_RBD: Final = {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"}
_SCALE_IO: Final = {"fsType": "xfs", "storageMode": "ThinProvisioned"}

IF_ZERO: Final[Values] = {
    apps_v1.StatefulSetPersistentVolumeClaimRetentionPolicy: {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    },
    apps_v1.StatefulSetSpec: {"podManagementPolicy": "OrderedReady"},
    batch_v1.CronJobSpec: {"concurrencyPolicy": "Allow"},
    batch_v1.PodFailurePolicyOnPodConditionsPattern: {"status": "True"},
    core_v1.AzureDiskVolumeSource: {
        "cachingMode": "ReadWrite",
        "fsType": "ext4",
        "kind": "Shared",
        "readOnly": False,
    },
    core_v1.Container: _CONTAINER,
    core_v1.ContainerPort: {"protocol": "TCP"},
    core_v1.EndpointPort: {"protocol": "TCP"},
    core_v1.EphemeralContainer: _CONTAINER,
    core_v1.HTTPGetAction: {"path": "/", "scheme": "HTTP"},
    core_v1.ISCSIPersistentVolumeSource: _ISCSI,
    core_v1.ISCSIVolumeSource: _ISCSI,
    core_v1.ObjectFieldSelector: {"apiVersion": "v1"},
    core_v1.PersistentVolumeSpec: {"persistentVolumeReclaimPolicy": "Retain"},
    core_v1.PodSpec: {
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
    },
    core_v1.Probe: {
        "failureThreshold": 3,
        "periodSeconds": 10,
        "successThreshold": 1,
        "timeoutSeconds": 1,
    },
    core_v1.RBDPersistentVolumeSource: _RBD,
    core_v1.RBDVolumeSource: _RBD,
    core_v1.ScaleIOPersistentVolumeSource: _SCALE_IO,
    core_v1.ScaleIOVolumeSource: _SCALE_IO,
    core_v1.Secret: {"type": "Opaque"},
    flowcontrol_v1.FlowSchemaSpec: {"matchingPrecedence": 1000},
    flowcontrol_v1.QueuingConfiguration: {"handSize": 8, "queueLengthLimit": 50, "queues": 64},
    rbac_v1.RoleRef: {"apiGroup": RBAC_GROUP},
    resource_v1.DeviceToleration: {"operator": "Equal"},
}

_SELECTORS: Final = {
    "namespaceSelector": meta_v1.LabelSelector,
    "objectSelector": meta_v1.LabelSelector,
}

STRUCTURES: Final[Mapping[Kind, Mapping[str, Kind]]] = {
    admissionregistration_v1.MatchResources: _SELECTORS,
    admissionregistration_v1.MutatingWebhook: _SELECTORS,
    admissionregistration_v1.ValidatingAdmissionPolicy: {
        "status": admissionregistration_v1.ValidatingAdmissionPolicyStatus
    },
    admissionregistration_v1.ValidatingWebhook: _SELECTORS,
    apiregistration_v1.APIService: {"status": apiregistration_v1.APIServiceStatus},
    apps_v1.DaemonSet: {"status": apps_v1.DaemonSetStatus},
    apps_v1.DaemonSetSpec: {"updateStrategy": apps_v1.DaemonSetUpdateStrategy},
    apps_v1.Deployment: {"status": apps_v1.DeploymentStatus},
    apps_v1.DeploymentSpec: {"strategy": apps_v1.DeploymentStrategy},
    apps_v1.ReplicaSet: {"status": apps_v1.ReplicaSetStatus},
    apps_v1.StatefulSet: {"status": apps_v1.StatefulSetStatus},
    apps_v1.StatefulSetSpec: {
        "persistentVolumeClaimRetentionPolicy": (
            apps_v1.StatefulSetPersistentVolumeClaimRetentionPolicy
        ),
        "updateStrategy": apps_v1.StatefulSetUpdateStrategy,
    },
    autoscaling_v1.HorizontalPodAutoscaler: {
        "status": autoscaling_v1.HorizontalPodAutoscalerStatus
    },
    autoscaling_v2.HorizontalPodAutoscaler: {
        "status": autoscaling_v2.HorizontalPodAutoscalerStatus
    },
    batch_v1.CronJob: {"status": batch_v1.CronJobStatus},
    batch_v1.Job: {"status": batch_v1.JobStatus},
    batch_v1.JobTemplateSpec: {"metadata": meta_v1.ObjectMeta},
    certificates_v1.CertificateSigningRequest: {
        "status": certificates_v1.CertificateSigningRequestStatus
    },
    coordination_v1.Lease: {"spec": coordination_v1.LeaseSpec},
    core_v1.Container: {"resources": core_v1.ResourceRequirements},
    core_v1.Event: {"source": core_v1.EventSource},
    core_v1.Namespace: {"spec": core_v1.NamespaceSpec},
    core_v1.Node: {"spec": core_v1.NodeSpec, "status": core_v1.NodeStatus},
    core_v1.NodeDaemonEndpoints: {"kubeletEndpoint": core_v1.DaemonEndpoint},
    core_v1.NodeStatus: {
        "daemonEndpoints": core_v1.NodeDaemonEndpoints,
        "nodeInfo": core_v1.NodeSystemInfo,
    },
    core_v1.PersistentVolumeClaimSpec: {"resources": core_v1.VolumeResourceRequirements},
    core_v1.PersistentVolumeClaimTemplate: {"metadata": meta_v1.ObjectMeta},
    core_v1.PodSpec: {"securityContext": core_v1.PodSecurityContext},
    core_v1.PodTemplateSpec: {"metadata": meta_v1.ObjectMeta},
    core_v1.ReplicationController: {"status": core_v1.ReplicationControllerStatus},
    core_v1.ResourceQuota: {
        "spec": core_v1.ResourceQuotaSpec,
        "status": core_v1.ResourceQuotaStatus,
    },
    core_v1.Service: {"status": core_v1.ServiceStatus},
    core_v1.ServiceStatus: {"loadBalancer": core_v1.LoadBalancerStatus},
    discovery_v1.Endpoint: {"conditions": discovery_v1.EndpointConditions},
    events_v1.Event: {"deprecatedSource": core_v1.EventSource},
    flowcontrol_v1.FlowSchema: {"status": flowcontrol_v1.FlowSchemaStatus},
    flowcontrol_v1.PriorityLevelConfiguration: {
        "status": flowcontrol_v1.PriorityLevelConfigurationStatus
    },
    networking_v1.Ingress: {"status": networking_v1.IngressStatus},
    networking_v1.IngressStatus: {"loadBalancer": networking_v1.IngressLoadBalancerStatus},
    networking_v1.ServiceCIDR: {"status": networking_v1.ServiceCIDRStatus},
    policy_v1.PodDisruptionBudget: {
        "spec": policy_v1.PodDisruptionBudgetSpec,
        "status": policy_v1.PodDisruptionBudgetStatus,
    },
    resource_v1.ResourceClaim: {"status": resource_v1.ResourceClaimStatus},
    resource_v1.ResourceClaimTemplateSpec: {"metadata": meta_v1.ObjectMeta},
    storage_v1.VolumeAttachment: {"status": storage_v1.VolumeAttachmentStatus},
}
