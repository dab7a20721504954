"""Service account tokens for projected volumes: asked for by TokenRequest, renewed in time.

A token is bound to its pod and is renewed when 80 % of its life is over, or after a day.
Source: the kubelet's token manager.
"""

from dataclasses import dataclass

from base.clock import Clock, parse_rfc3339
from kubeapi.client import Client
from kubeapi.errors import StatusError
from kubeapi.types import authentication_v1, core_v1, meta_v1
from nodeagent.pods.spec import metadata, spec_of, uid_of
from nodeagent.volumes.payload import VolumeError, token_key

RENEW_AT = 0.8
MAX_AGE_S = 86_400.0

Wanted = tuple[str, int]


@dataclass(frozen=True)
class _Token:
    text: str
    renew_at_s: float


class TokenManager:
    """Tokens by pod and by what they are for."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._tokens: dict[tuple[str, Wanted], _Token] = {}

    async def tokens(self, pod: core_v1.Pod) -> dict[Wanted, str]:
        """A valid token for each the pod's volumes ask for. VolumeError where one is refused."""
        found = {}
        for wanted in sorted(wanted_tokens(pod)):
            key = (uid_of(pod), wanted)
            token = self._tokens.get(key)
            if token is None or token.renew_at_s <= self._clock.now_s():
                token = self._tokens[key] = await self._request(pod, wanted, token)
            found[wanted] = token.text
        return found

    def renew_in_s(self, uid: str) -> float | None:
        """When the next of the pod's tokens has to be renewed."""
        due = [t.renew_at_s for (owner, _), t in self._tokens.items() if owner == uid]
        return max(1.0, min(due) - self._clock.now_s()) if due else None

    def forget(self, uid: str) -> None:
        for key in [k for k in self._tokens if k[0] == uid]:
            del self._tokens[key]

    async def _request(self, pod: core_v1.Pod, wanted: Wanted, old: _Token | None) -> _Token:
        meta, account = metadata(pod), spec_of(pod).serviceAccountName or "default"
        audience, lifetime_s = wanted
        bound = authentication_v1.BoundObjectReference(
            kind="Pod", apiVersion="v1", name=meta.name, uid=meta.uid
        )
        request = authentication_v1.TokenRequest(
            metadata=meta_v1.ObjectMeta(name=account, namespace=meta.namespace),
            spec=authentication_v1.TokenRequestSpec(
                audiences=[audience] if audience else [],
                expirationSeconds=lifetime_s,
                boundObjectRef=bound,
            ),
        )
        try:
            answer = await self._client.create(request, subresource="token", name=account)
        except StatusError as error:
            # A token that still holds is better than none: the next look asks again.
            if old is not None:
                return _Token(old.text, self._clock.now_s() + 60.0)
            text = f'failed to fetch token: {error.message} (serviceaccount "{account}")'
            raise VolumeError(text) from None
        return self._accepted(answer)

    def _accepted(self, answer: authentication_v1.TokenRequest) -> _Token:
        status = answer.status or authentication_v1.TokenRequestStatus()
        if not status.token or not status.expirationTimestamp:
            raise VolumeError("failed to fetch token: the server answered without one")
        now_s = self._clock.now_s()
        life_s = parse_rfc3339(status.expirationTimestamp) - now_s
        return _Token(status.token, now_s + min(MAX_AGE_S, life_s * RENEW_AT))


def wanted_tokens(pod: core_v1.Pod) -> set[Wanted]:
    """Audience and lifetime of each token that the pod's projected volumes hold."""
    return {
        token_key(part.serviceAccountToken)
        for volume in spec_of(pod).volumes or ()
        for part in (volume.projected.sources if volume.projected else None) or ()
        if part.serviceAccountToken is not None
    }
