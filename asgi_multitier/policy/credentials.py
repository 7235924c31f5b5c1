"""Which request fields identify the user, decided by their names.

Proxies, gateways and clients name such fields as they like, so no list of names is complete. The
rule reads the words in a name instead and errs on the safe side: a field that is wrongly taken for
a credential costs a bypass that `Cache-Status` explains; the reverse gives one user's response to
another. Only two kinds of fields are harmless although their names contain such a word: those that
browsers and proxies send with every request, and those that a setting names.
"""

from collections.abc import Iterable
from functools import lru_cache

import msgspec


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


_WORDS = _words(
    "account acct affiliat apikey appcheck assertion auth cert claim clerk clientdn cookie",
    "credential csrf customer edipi email employee entitle eppn fingerprint gssapi hasura ident",
    "impersonat initdata jwt kerberos launchparam logged login logon member merchant msisdn mtls",
    "oidc okta openid organi passw permission pomerium principal privatekey privilege pubkey",
    "publickey secret session shopper siteminder spiffe",
    "sslclient student subscri tenant thumbprint token user vouch xsrf",
)
"""Identify the user anywhere in a name without its separators."""

_TOKENS = _words(
    # Who.
    "act actor agent alias applicant as author beneficiary buyer caller candidate",
    "cardholder child citizen client coach company consumer contact creator dealer delegate",
    "delegated delegation doctor donor driver editor family gamer guest holder household",
    "initiator insured learner manager me my myself nick nickname nurse officer operator",
    "originator owner partner patient payer people person persona personnel physician player",
    "policyholder profile pseudonym pupil reader recipient referral referrer representative",
    "requester requestor reseller seller sender staff sub subject supplier taxpayer teacher tutor",
    "vendor viewer visitor voter who whoami writer",
    # On whose behalf, and with what rights.
    "acl acr acting admin administrator assume behalf clearance doas draft grant grants group",
    "groups licence license moderator preview realm right rights role roles root runas scope",
    "scopes sudo trusted unpublished",
    # In which partition of the data.
    "audience branch brand chain clinic cohort community corp corporation database db department",
    "dept division domain enterprise facility franchise hospital institution lab office org orgs",
    "plan portal practice premium project schema school segment shop site sites space store",
    "subsidiary team teams tenancy tier university vip workgroup workspace",
    # With what proof.
    "2fa aad access acs adfs appkey badge basic bearer biscuit captcha cas challenge cred",
    "creds dpop hmac iam iap invitation invite issuer jwe jwk jwks jws key keys krb ldap macaroon",
    "mfa negotiate nonce ntlm otp pass passcode passphrase passport permit pin proof psk pwd",
    "recaptcha saml sas sess shib sig sign signature signed signer signin spnego sso ticket totp",
    "turnstile verified verify wsse",
    # Under which name, number or address.
    "basket birth birthday booking card cart cn cnpj coupon cpf crn dn dob eth ethereum fp gender",
    "handle hash iban iccid",
    "idfa imei imsi initials iv loyalty mail mailbox mailto meid mobilenumber mrn nin npub number",
    "oin phone pnr promo reservation serial sm surname ssn subno supi thumb tin uidh uname upn",
    "urn usr vat vin wallet web3",
)
"""Identify the user as a whole word between separators."""

_NAMES = _words("common display family first full given last middle preferred real screen short")
"""The name of a person when `name` follows."""

_BEGINNINGS = tuple(
    word for word in _TOKENS if len(word) > 3 and word not in ("agent", "dept", "root", "sign")
)
_ENDINGS = tuple(word for word in _TOKENS if len(word) > 5)
"""Words that count as a part of a longer one too: `RoleName`, `VerifiedSubject`, `CompanyCode`."""

_OF_CONNECTIONS = _words(
    "asn city continent country geo lat latitude location long longitude port proto protocol",
    "region rtt scheme sdu subdivision timezone ver version",
)
"""Words with which a name with `client` describes a connection: from where, and how."""

_PREFIXES = (
    "cf-access-",
    "remote-",
    "stripe-",
    "tailscale-",
    "x-hasura-",
    "x-ms-client-",
    "x-ms-token-",
    "x-remote-",
)
_EXACT = frozenset(
    (
        # A person's address, an attribute of a directory, or the whole context of a gateway.
        *("from", "x-from", "name", "x-name", "o", "ou", "sn", "title", "x-tls-peer"),
        *("apigw-event", "x-amzn-request-context", "x-apigateway-context", "x-apigateway-event"),
        "x-jfrog-art-api",
    )
)
"""Identify the user by their value."""

_PLUMBING = _words(
    "amz amzn apigateway azure b3 batch build call cdn cell cf correlation datadog dd",
    "delivery deploy deployment diagnostics dictionary eagleeye edge event execution fd flow",
    "frame hop host invocation jaeger lightstep log message metadata msg newrelic node op opaque",
    "operation page parentspan pod process ray ref region release render req request requests",
    "revision rndr rootspan route rpc server span test thread trace tracing transaction turbo tx",
    "txn unique vercel version zone",
)
"""Words in the name of an `-id` of a message, process or machine; any other identifier counts."""

_HARMLESS = frozenset(
    b"cf-ja3-hash cf-verified-bot cf-visitor dnt fastly-client front-end-https idempotency-key"
    b" navigation-preload next-router-segment-prefetch postman-token proxy-connection remote-addr"
    b" remote-host remote-port sec-gpc sec-purpose sec-websocket-key service-worker"
    b" x-apollo-cache-key x-appengine-api-ticket x-appengine-auth-domain x-azure-ja4-fingerprint"
    b" x-build-number x-client-data x-client-info x-client-ip x-client-name x-client-version"
    b" x-goog-api-client x-graphql-client-name x-http2-stream-id x-ms-client-request-id"
    b" x-nf-account-id x-nf-account-tier x-nf-site-id x-nf-site-info x-playback-session-id"
    b" x-remote-addr x-remote-host x-remote-port x-site-deployment-id"
    b" x-vercel-internal-intra-session x-vercel-oidc-token x-vercel-proxy-signature"
    b" x-vercel-proxy-signature-ts".split()
)
_HARMLESS_STARTS = tuple(
    b"accept- access-control-request- apollographql-client- cloudfront- eagleeye- ot-tracer-"
    b" sec-ch- sec-fetch- x-vercel-ip-".split()
)
_HARMLESS_ENDS = (b"-ip", b"user-agent", b"useragent", b"-ua")
"""Fields that a browser or a platform sends with every request and that do not identify the user,
although the rule would take their names so; `-ip` is where a request comes from, as is
`X-Forwarded-For`."""


_LONGEST_CACHED = 64
"""Bytes of the longest name whose decision is cached."""


def folded(name: bytes) -> bytes:
    """A field name as CGI gateways read it: without case, with `_` and `-` as the same byte."""
    return name.lower().replace(b"_", b"-")


class Credentials(msgspec.Struct, frozen=True):
    """The rule, with the names that a setting adds or excludes.

    Attributes:
        added: Further names that identify the user, folded.
        harmless: Names that do not, in lower case.
    """

    added: frozenset[bytes] = frozenset()
    harmless: frozenset[bytes] = frozenset()

    def include(self, name: bytes) -> bool:
        """Whether a field of this name, in any case, identifies the user."""
        lower = name.lower()
        if lower in self.harmless:
            return False
        plain = folded(lower)
        if plain in self.added:
            return True
        # Clients choose long names: they must not fill the cache.
        return (
            identifies_user(plain)
            if len(plain) <= _LONGEST_CACHED
            else identifies_user.__wrapped__(plain)
        )

    def include_any(self, names: Iterable[bytes]) -> bool:
        """Whether one of these fields identifies the user."""
        return any(map(self.include, names))


@lru_cache(maxsize=1024)
def identifies_user(name: bytes) -> bool:
    """Whether a field of this folded name identifies the user, by the rule alone."""
    if name in _HARMLESS or name.startswith(_HARMLESS_STARTS) or name.endswith(_HARMLESS_ENDS):
        return False
    text = name.decode("latin-1")
    if text in _EXACT or text.startswith(_PREFIXES):
        return True
    squeezed = text.replace("-", "").replace(".", "")
    if any(word in squeezed for word in _WORDS):
        return True
    tokens = text.replace(".", "-").split("-")
    if not _OF_CONNECTIONS.isdisjoint(tokens):
        tokens = [part for part in tokens if part not in ("client", *_OF_CONNECTIONS)]
    return (
        any(map(_is_user_word, tokens))
        or ("name" in tokens and not _NAMES.isdisjoint(tokens))
        or _is_user_id(tokens)
    )


def _is_user_word(token: str) -> bool:
    """Whether a part of a name is, or contains, a word that identifies the user."""
    if token in _TOKENS or (token.endswith("s") and token[:-1] in _TOKENS):
        return True
    if token.endswith("name") and token.removesuffix("name") in _NAMES:
        return True
    # `ClientIP` is where a request comes from, as is any name with this ending.
    return not token.endswith("ip") and (token.startswith(_BEGINNINGS) or token.endswith(_ENDINGS))


def _is_user_id(tokens: list[str]) -> bool:
    """Whether the name ends in an identifier that is not one of a message or a machine."""
    kinds = {token.removesuffix("id") for token in tokens if token.endswith("id")}
    kinds |= {"" for token in tokens if token in ("ids", "guid", "uuid")}
    return bool(kinds) and _PLUMBING.isdisjoint({*tokens, *kinds})
