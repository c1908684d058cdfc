"""An OpenID Provider on django-oauth-toolkit: the toolkit as it comes, with one person, clients for
tests and what an administrator does.

Its argument is the port that it listens at. It prints its issuer when it is ready. All that it stores is
in memory. OIDC_KEY is the key that it signs with, as PEM.
"""

import json
import os
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings

HOST = f"http://127.0.0.1:{sys.argv[1]}"
ISSUER = f"{HOST}/o"
PERSON = "analyst@example.com"
LOGIN_PAGE = '<form method="post">{% csrf_token %}{{ form }}</form>'
APP_TEMPLATES = "django.template.loaders.app_directories.Loader"
OWN_TEMPLATES = "django.template.loaders.locmem.Loader"

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    SECRET_KEY=os.urandom(32).hex(),
    ROOT_URLCONF=__name__,
    LOGIN_URL="/login/",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "oauth2_provider",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    (OWN_TEMPLATES, {"registration/login.html": LOGIN_PAGE}),
                    APP_TEMPLATES,
                ],
            },
        }
    ],
    OAUTH2_PROVIDER={
        "OIDC_ENABLED": True,
        "OIDC_ISS_ENDPOINT": ISSUER,
        "OIDC_RSA_PRIVATE_KEY": os.environ["OIDC_KEY"],
        "OAUTH2_VALIDATOR_CLASS": f"{__name__}.Validator",
        "OAUTH_DEVICE_VERIFICATION_URI": f"{ISSUER}/device/",
        "OAUTH_DEVICE_VERIFICATION_URI_COMPLETE": lambda code: f"{ISSUER}/device/?user_code={code}",
        "REFRESH_TOKEN_REUSE_PROTECTION": True,
        "SCOPES": dict.fromkeys(["openid", "profile", "email", "offline_access"], "asked for"),
    },
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402 -- after the setup
from django.contrib.auth.views import LoginView  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse, JsonResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from oauth2_provider.models import AccessToken, Application, RefreshToken  # noqa: E402
from oauth2_provider.oauth2_validators import OAuth2Validator  # noqa: E402
from oauth2_provider.settings import oauth2_settings  # noqa: E402
from oauth2_provider.views import ConnectDiscoveryInfoView  # noqa: E402


class Validator(OAuth2Validator):
    def get_additional_claims(self, request):
        return {"email": request.user.email}


class Discovery(ConnectDiscoveryInfoView):
    """The toolkit's document, with the endpoint that no document of its own has."""

    def get(self, request, *args, **kwargs):
        document = json.loads(super().get(request, *args, **kwargs).content)
        endpoint = f"{ISSUER}/device-authorization/"
        return JsonResponse({**document, "device_authorization_endpoint": endpoint})


def rotate_keys(fields):
    oauth2_settings.OIDC_RSA_PRIVATE_KEY = fields["key"]


def end_session(_):
    for token in RefreshToken.objects.filter(revoked__isnull=True):
        token.revoke()


def is_active(fields):
    token = fields["token"]
    is_refresh = RefreshToken.objects.filter(token=token, revoked__isnull=True).exists()
    return is_refresh or any(one.is_valid() for one in AccessToken.objects.filter(token=token))


ACTIONS = {
    "rotate-keys": rotate_keys,
    "end-session": end_session,
    "is-active": is_active,
}


@csrf_exempt
def control(request, action):
    return HttpResponse(json.dumps(ACTIONS[action](request.POST)))


urlpatterns = [
    path("login/", LoginView.as_view()),
    path("control/<action>", control),
    path("o/.well-known/openid-configuration", Discovery.as_view()),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def add_client(client_id, grant, secret=""):
    kind = Application.CLIENT_CONFIDENTIAL if secret else Application.CLIENT_PUBLIC
    Application.objects.create(
        client_id=client_id,
        client_secret=secret,
        hash_client_secret=False,
        client_type=kind,
        authorization_grant_type=grant,
        redirect_uris="http://127.0.0.1/callback",
        algorithm=Application.RS256_ALGORITHM,
    )


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    User.objects.create_user(PERSON, PERSON, "a-password")
    add_client("public", Application.GRANT_DEVICE_CODE)
    add_client("browser", Application.GRANT_AUTHORIZATION_CODE)
    add_client("secret", Application.GRANT_DEVICE_CODE, "a-secret-of-the-client")
    add_client("job", Application.GRANT_CLIENT_CREDENTIALS, "a-secret-of-the-job")
    server = make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application(), handler_class=Quiet)
    print(ISSUER, flush=True)
    server.serve_forever()
