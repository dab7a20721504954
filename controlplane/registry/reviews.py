"""Kinds that are asked and never stored: who am I, and what may I do.

Source: `authentication.k8s.io/v1` and `authorization.k8s.io/v1`. A review's answer is the review
itself with its status filled in.
"""

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import force_setattr

from controlplane.auth.rbac import Decision
from controlplane.auth.user import User
from controlplane.registry import lifecycle
from controlplane.registry.backing import Backing
from controlplane.registry.options import Call
from controlplane.registry.stored import Layout, Stored
from kubeapi import errors
from kubeapi.errors import Cause
from kubeapi.types import authentication_v1, authorization_v1, meta_v1

Review = Callable[[Backing, Call, Any], None]


def is_review(call: Call) -> bool:
    return call.info.type in _REVIEWS


def answer(backing: Backing, call: Call, review: Any) -> Stored:
    """The review with its status."""
    metadata = lifecycle.metadata_of(review)
    if call.info.namespaced:
        force_setattr(metadata, "namespace", call.namespace)
    _REVIEWS[call.info.type](backing, call, review)
    layout = Layout(call.info)
    return Stored(layout, "", layout.value_of(review), 0, review)


def _who_am_i(backing: Backing, call: Call, review: Any) -> None:
    user = call.user
    info = authentication_v1.UserInfo(
        username=user.name,
        uid=user.uid or None,
        groups=list(user.groups) or None,
        extra={key: list(values) for key, values in user.extra.items()} or None,
    )
    force_setattr(review, "metadata", meta_v1.ObjectMeta(creationTimestamp=backing.now()))
    force_setattr(review, "status", authentication_v1.SelfSubjectReviewStatus(userInfo=info))


def _whose_token(backing: Backing, call: Call, review: Any) -> None:
    """No tokens are issued yet, so none is valid."""
    token = review.spec.token if review.spec else None
    if not token:
        cause = Cause("FieldValueRequired", "Required value", "spec.token")
        raise errors.invalid("TokenReview", "", [cause], "authentication.k8s.io")
    status = authentication_v1.TokenReviewStatus(
        user=authentication_v1.UserInfo(), error="invalid bearer token"
    )
    force_setattr(review, "status", status)


def _may_i(backing: Backing, call: Call, review: Any) -> None:
    _decide(backing, review, call.user)


def _may_they(backing: Backing, call: Call, review: Any) -> None:
    spec = review.spec
    if spec is None or not (spec.user or spec.groups):
        cause = Cause(
            "FieldValueInvalid",
            'Invalid value: "": at least one of user or group must be specified',
            "spec.user",
        )
        raise errors.invalid(call.info.kind, "", [cause], call.info.group)
    attributes = spec.resourceAttributes
    if call.info.namespaced and (attributes is None or attributes.namespace != call.namespace):
        given = (attributes.namespace if attributes else None) or ""
        cause = Cause(
            "FieldValueInvalid",
            f'Invalid value: "{given}": must match metadata.namespace',
            "spec.resourceAttributes.namespace",
        )
        raise errors.invalid("", "", [cause], call.info.group)
    _decide(backing, review, User(spec.user or "", tuple(spec.groups or ()), spec.uid or ""))


def _decide(backing: Backing, review: Any, user: User) -> None:
    spec = review.spec
    resource = spec.resourceAttributes if spec else None
    path = spec.nonResourceAttributes if spec else None
    if (resource is None) == (path is None):
        cause = Cause(
            "FieldValueInvalid",
            "Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must "
            "be specified",
            "spec.resourceAttributes",
        )
        raise errors.invalid(type(review).__name__, "", [cause], "authorization.k8s.io")
    decision = _of_resource(backing, user, resource) if resource else _of_path(backing, user, path)
    status = authorization_v1.SubjectAccessReviewStatus(
        allowed=decision.allowed, reason=decision.reason or None
    )
    force_setattr(review, "status", status)


def _of_resource(backing: Backing, user: User, asked: Any) -> Decision:
    return backing.authorizer.authorize(
        user,
        asked.verb or "",
        asked.group or "",
        asked.resource or "",
        asked.subresource or "",
        asked.name or "",
        asked.namespace or "",
    )


def _of_path(backing: Backing, user: User, asked: Any) -> Decision:
    return backing.authorizer.authorize_nonresource(user, asked.verb or "", asked.path or "")


def _what_may_i(backing: Backing, call: Call, review: Any) -> None:
    namespace = (review.spec.namespace if review.spec else None) or ""
    if not namespace:
        raise errors.bad_request("no namespace on request")
    rules = backing.authorizer.rules_for(call.user, namespace)
    status = authorization_v1.SubjectRulesReviewStatus(
        resourceRules=[
            authorization_v1.ResourceRule(
                verbs=rule.verbs,
                apiGroups=rule.apiGroups,
                resources=rule.resources,
                resourceNames=rule.resourceNames,
            )
            for rule in rules
            if rule.resources
        ],
        nonResourceRules=[
            authorization_v1.NonResourceRule(verbs=rule.verbs, nonResourceURLs=rule.nonResourceURLs)
            for rule in rules
            if rule.nonResourceURLs
        ],
        incomplete=False,
    )
    force_setattr(review, "spec", authorization_v1.SelfSubjectRulesReviewSpec())
    force_setattr(review, "status", status)


_REVIEWS: Final[dict[type, Review]] = {
    authentication_v1.SelfSubjectReview: _who_am_i,
    authentication_v1.TokenReview: _whose_token,
    authorization_v1.LocalSubjectAccessReview: _may_they,
    authorization_v1.SelfSubjectAccessReview: _may_i,
    authorization_v1.SelfSubjectRulesReview: _what_may_i,
    authorization_v1.SubjectAccessReview: _may_they,
}
