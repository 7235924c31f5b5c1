"""Fields that identify the user are recognised by their names, whatever gateway sends them."""

from asgi_multitier.policy.credentials import Credentials, folded

IDENTITY = (
    "Authorization Proxy-Authorization X-Api-Key Api-Key Apikey X-Auth-Token X-Access-Token "
    "X-Session-Token X-CSRF-Token X-XSRF-TOKEN X-CSRFToken Remote-User Remote-Groups "
    "Remote-Name Remote-Email X-Remote-User X-Remote-Group X-Remote-Extra-Scopes "
    "X-Forwarded-User X-Forwarded-Email X-Forwarded-Groups X-Forwarded-Preferred-Username "
    "X-Forwarded-Access-Token X-Forwarded-Client-Cert X-Auth-Request-User X-Auth-Request-Email "
    "X-Auth-Request-Groups X-Auth-Request-Access-Token X-Amzn-Oidc-Data X-Amzn-Oidc-Identity "
    "X-Amzn-Oidc-Accesstoken X-Amzn-Mtls-Clientcert X-Amzn-Mtls-Clientcert-Subject "
    "X-Amzn-Mtls-Clientcert-Serial-Number X-Amz-Security-Token X-Ms-Client-Principal "
    "X-Ms-Client-Principal-Id X-Ms-Client-Principal-Name X-Ms-Client-Roles "
    "X-Ms-Token-Aad-Id-Token X-Ms-Token-Google-Expires-On X-Goog-Iap-Jwt-Assertion "
    "X-Goog-Authenticated-User-Email X-Goog-Authenticated-User-Id X-Goog-Api-Key "
    "X-Goog-User-Project X-Serverless-Authorization X-Endpoint-Api-Userinfo "
    "X-Apigateway-Api-Userinfo X-Userinfo X-Id-Token Cf-Access-Jwt-Assertion "
    "Cf-Access-Authenticated-User-Email Cf-Access-Client-Id Cf-Access-Client-Secret "
    "Cf-Client-Cert-Der-Base64 Ocp-Apim-Subscription-Key X-Functions-Key X-Vouch-User "
    "X-Vouch-Idp-Claims-Email X-Pomerium-Jwt-Assertion X-Pomerium-Claim-Email "
    "X-Authentik-Username X-Authentik-Uid X-Authentik-Entitlements X-Webauth-User "
    "X-Webauth-Name X-Consumer-Id X-Consumer-Username X-Consumer-Custom-Id "
    "X-Credential-Identifier X-Anonymous-Consumer X-Authenticated-Userid X-Authenticated-Scope "
    "Tailscale-User-Login Tailscale-User-Name X-Ssl-Client-Cert Ssl-Client-Cert "
    "Ssl-Client-Subject-Dn Ssl-Client-S-Dn X-Ssl-Client-S-Dn Ssl-Client-Verify X-Client-Cert "
    "X-Client-Dn X-Client-Verify X-Client-Certificate X-Arr-Clientcert X-Client-Spiffe "
    "X-Spiffe-Id X-Tls-Client-Subject X-Rh-Identity X-Tenant X-Tenant-Id X-Tenant-Domain "
    "X-Org-Id X-Scope-Orgid X-Grafana-Org-Id X-Organization X-Organisation-Id "
    "Openai-Organization X-Company-Token X-Company X-Corp-Id X-Customer X-Customer-Id "
    "X-Account-Id X-Acct X-Member-Id X-Membership X-Login X-Logon-Name X-Sso-User X-Sso "
    "X-Signature X-Hub-Signature-256 Stripe-Signature X-Hmac X-Secret X-Admin-Secret "
    "X-Hasura-Role X-Hasura-Admin-Secret X-Parse-Session-Token X-Parse-Application-Id "
    "X-Algolia-Application-Id X-Rapidapi-Key X-Rapidapi-User X-Mashape-Key X-Firebase-Appcheck "
    "X-Shopify-Access-Token Private-Token Job-Token X-Gitlab-Token X-Vault-Token X-Plex-Token "
    "Dpop X-Wsse X-Ntlm-User X-Kerberos-Principal X-Shib-Session-Id Shib-Identity-Provider Eppn "
    "X-Iv-User Iv-User Iv-Groups Iv-Creds Sm-User Sm-Serversessionid X-Oidc-Claim-Sub Oidc-Sub "
    "X-Jwt-Payload X-Saml-Attributes X-Claims X-Sub X-Subject X-Upn X-Mail X-Email X-Phone "
    "X-Msisdn X-Up-Calling-Line-Id X-Up-Subno X-Nokia-Msisdn X-Uidh X-Acr X-Imsi X-Uid X-Sid "
    "X-Pid Uid Sid X-Device-Id X-Visitor-Id X-Viewer X-Shopper X-Shopper-Id X-Client-Id "
    "X-Cart-Id X-Wallet-Address X-Profile-Id X-Player-Id X-Person-Id X-Personnel-Number "
    "X-Employee X-Staff-Id X-Student-Id X-Patient-Id X-Guest X-Owner X-Actor X-Act-As "
    "X-On-Behalf-Of X-Impersonate Impersonate-User X-Sudo X-Whoami X-Requester X-Caller "
    "X-Partner-Id X-Vendor X-Merchant-Id X-Seller X-Affiliate X-Subscriber X-Subscription-Id "
    "X-Workspace X-Team X-Project X-Project-Id X-Realm X-Domain-Id X-Department X-Role X-Roles "
    "X-Groups X-Scopes X-Permissions X-Entitlements X-Clearance X-Badge X-Passport X-License "
    "X-Password X-Passcode X-Pin X-Otp X-Ticket X-Cookie X-Session X-Session-Id X-Sess "
    "X-Identity X-Principal X-Assertion X-Display-Name X-Given-Name X-Device-Fingerprint From "
    "X-Amzn-Request-Context X-Store X-Shop-Id X-Site X-Brand X-School-Id X-Bank-Customer "
    "X-Household X-Plan X-Tier Key Token Auth True-Client-Cert X-Nhs-Number X-Tin X-Accountid "
    "X-Storeid X-Uuid X-Guid Tailscale-Name Tailscale-Tailnet Tailscale-App-Capabilities "
    "Affiliation Unscoped-Affiliation EduPersonAffiliation GivenName DisplayName Sn Ou O "
    "TelephoneNumber X-Telegram-Init-Data Launch-Params X-Vk-Launch-Params X-JFrog-Art-Api "
    "VerifiedSubject X-SSL-Issuer X-Tls-Peer X-PrivateKey X-Pubkey X-Signer X-Eth-Address "
    "X-View-As DoAs X-Doas X-RoleName X-TeamSlug X-ShopDomain X-CompanyCode X-AdminMode "
    "X-StoreCode X-Actors X-Preview X-Draft X-Schema X-Database X-Name X-From X-Iam Stripe-Context "
    "X-Client-Region-Token X-SSL-Client-CN X-Client-Subject X-Booking-Reference X-Invite-Code "
)

HARMLESS = (
    "Host User-Agent Accept Accept-Language Accept-Encoding Accept-Charset Accept-Version "
    "Accept-CH Referer Origin Connection Keep-Alive Te Via Dnt Date Priority Purpose Pragma "
    "Cache-Control Save-Data Downlink Ect Rtt Dpr Width Viewport-Width Device-Memory Early-Data "
    "Alt-Used Max-Forwards Content-Type Upgrade-Insecure-Requests Sec-Ch-Ua Sec-Ch-Ua-Mobile "
    "Sec-Ch-Ua-Platform Sec-Ch-Ua-Full-Version-List Sec-Ch-Ua-Model Sec-Ch-Prefers-Color-Scheme "
    "Sec-Ch-Device-Memory Sec-Fetch-User Sec-Fetch-Site Sec-Fetch-Mode Sec-Fetch-Dest Sec-Gpc "
    "Sec-Purpose Service-Worker Service-Worker-Navigation-Preload Available-Dictionary "
    "Dictionary-Id Last-Event-Id X-Requested-With X-Moz X-Client-Data "
    "Access-Control-Request-Method Access-Control-Request-Headers "
    "Access-Control-Request-Private-Network X-Request-Id X-Requestid Request-Id "
    "X-Correlation-Id Correlation-Id X-Correlationid X-Trace-Id X-Transaction-Id "
    "X-Request-Start X-Queue-Start X-Unique-Id Traceparent Tracestate Baggage Sentry-Trace B3 "
    "X-B3-Traceid X-B3-Spanid X-B3-Parentspanid X-B3-Sampled X-B3-Flags Uber-Trace-Id "
    "X-Ot-Span-Context X-Datadog-Trace-Id X-Datadog-Parent-Id X-Datadog-Sampling-Priority "
    "Newrelic X-Newrelic-Id X-Newrelic-Transaction Elastic-Apm-Traceparent Eagleeye-Rpcid "
    "X-Dynatrace X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Port "
    "X-Forwarded-Scheme X-Forwarded-Server X-Forwarded-Prefix X-Forwarded-By "
    "X-Original-Forwarded-For X-Real-Ip X-Client-Ip X-Cluster-Client-Ip True-Client-Ip "
    "Client-Ip Fastly-Client-Ip Fly-Client-Ip Forwarded Remote-Addr X-Remote-Addr X-Remote-Ip "
    "X-User-Ip X-Envoy-External-Address X-Envoy-Attempt-Count X-Envoy-Expected-Rq-Timeout-Ms "
    "X-Envoy-Peer-Metadata X-Envoy-Peer-Metadata-Id X-Envoy-Internal "
    "X-Envoy-Decorator-Operation Cf-Ray Cf-Visitor Cf-Connecting-Ip Cf-Ipcountry Cf-Ew-Via "
    "Cf-Worker Cf-Warp-Tag-Id Cdn-Loop X-Amzn-Trace-Id X-Amz-Cf-Id X-Amzn-Tls-Version "
    "X-Amzn-Tls-Cipher-Suite X-Amzn-Requestid X-Amzn-Apigateway-Api-Id "
    "Cloudfront-Is-Mobile-Viewer Cloudfront-Viewer-Country Cloudfront-Viewer-Address "
    "Cloudfront-Viewer-Tls Cloudfront-Forwarded-Proto X-Cloud-Trace-Context X-Appengine-Country "
    "X-Appengine-User-Ip X-Appengine-Citylatlong X-Appengine-Https X-Appengine-Request-Log-Id "
    "X-Appengine-Api-Ticket X-Appengine-Default-Namespace Function-Execution-Id X-Arr-Log-Id "
    "X-Arr-Ssl X-Azure-Ref X-Azure-Clientip X-Azure-Socketip X-Azure-Fdid X-Appgw-Trace-Id "
    "X-Site-Deployment-Id Was-Default-Hostname Disguised-Host X-Waws-Unencoded-Url "
    "X-Ms-Client-Request-Id X-Fd-Healthprobe X-Vercel-Id X-Vercel-Ip-Country "
    "X-Vercel-Forwarded-For X-Vercel-Deployment-Url X-Vercel-Oidc-Token X-Nf-Request-Id "
    "X-Nf-Client-Connection-Ip X-Nf-Account-Id Fly-Request-Id Fly-Region Fly-Forwarded-Proto "
    "Rndr-Id Fastly-Ssl Fastly-Ff X-Varnish X-Timer X-Served-By X-Akamai-Edgescape "
    "Akamai-Origin-Hop X-Akamai-Config-Log-Detail X-Iinfo Proxy-Connection Front-End-Https "
    "X-Scheme Hx-Request Hx-Target Hx-Trigger Hx-Boosted Hx-Current-Url X-Turbo-Request-Id "
    "Turbo-Frame X-Inertia X-Inertia-Version Rsc Next-Router-State-Tree Next-Url "
    "X-Device-User-Agent X-Original-User-Agent X-Operamini-Phone-Ua Apollographql-Client-Name "
    "Apollographql-Client-Version X-Client-Version X-Client-Name X-App-Version X-Api-Version "
    "X-Platform X-Timezone X-Locale X-Country X-Currency Anthropic-Version Idempotency-Key "
    "X-Request-Received X-Sent-From Test-Id Test-Name Req-Num X-Github-Api-Version "
    "X-Client-Geo-Location X-Client-Region X-Client-Region-Subdivision X-Client-City "
    "X-Client-City-Lat-Long X-Client-Rtt-Msec X-Client-Tls-Version X-Client-Port X-Client-Proto "
    "Client-Geo Cf-Ja3-Hash Cf-Ja4 Cf-Verified-Bot Cf-Bot-Score X-Azure-Ja4-Fingerprint "
    "X-Azure-ClientIp X-Azure-RequestChain X-Vercel-Ip-As-Number X-Vercel-Internal-Intra-Session "
    "X-Vercel-Ip-City X-Nf-Account-Tier Postman-Token X-Playback-Session-Id X-Client-Info "
    "X-Goog-Api-Client Next-Router-Segment-Prefetch X-Apollo-Cache-Key X-Build-Number "
    "Ot-Tracer-Traceid Ot-Tracer-Spanid Eagleeye-Userdata Eagleeye-Sessionid Jaeger-Debug-Id "
    "X-Rootspanid X-Heroku-Queue-Depth X-Original-Host X-K8se-App-Namespace X-Signalfx "
    "Knative-Serving-Namespace X-Browser-Copyright X-Browser-Validation Hx-History-Restore-Request "
)


def test_names_that_gateways_and_clients_use_for_a_user_count() -> None:
    """A word in a name that means a person, a tenant or a proof is enough."""
    names = [
        spelling
        for name in IDENTITY.split()
        for spelling in (name, name.lower(), name.upper(), name.replace("-", "_"))
    ]

    assert [name for name in names if not Credentials().include(name.encode())] == []


def test_what_comes_with_every_request_does_not() -> None:
    """Browsers, proxies, platforms, tracing: one such would keep everything from the cache."""
    assert [name for name in HARMLESS.split() if Credentials().include(name.encode())] == []


def test_a_setting_adds_and_another_takes_away() -> None:
    """Neither touches what the other, or the rule, says of the rest."""
    known = Credentials(added=frozenset({b"x-zone-of"}), harmless=frozenset({b"x-tenant"}))

    assert known.include(b"X-Zone-Of")
    assert known.include(b"x_zone_of")
    assert not known.include(b"X-Tenant")
    assert known.include(b"x-tenant-id")
    assert known.include(b"x-api-key")
    assert known.include_any([b"accept", b"x-uid"])
    assert not known.include_any([b"accept", b"x-tenant"])


def test_names_are_folded_as_gateways_do() -> None:
    """CGI knows neither case nor the difference of `_` and `-`."""
    assert folded(b"X_Forwarded-HOST") == b"x-forwarded-host"
