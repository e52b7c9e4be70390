"""Bearer tokens of the LMS's own OAuth provider."""

from django.contrib.auth.models import User
from django.core import signing
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

SALT = "access token"


def access_token(user):
    """Return a token as the provider would hand it out; for tests."""
    return signing.dumps(user.pk, salt=SALT)


class BearerAuthentication(BaseAuthentication):
    www_authenticate_realm = "api"
    allow_inactive_users = False

    def authenticate(self, request):
        kind, _, token = get_authorization_header(request).decode().partition(" ")
        if kind.lower() != "bearer" or not token:
            return None
        try:
            user = User.objects.get(pk=signing.loads(token, salt=SALT))
        except (signing.BadSignature, User.DoesNotExist):
            raise AuthenticationFailed(
                {"error_code": "token_nonexistent", "developer_message": "No such token."}
            ) from None
        if not (user.is_active or self.allow_inactive_users):
            raise AuthenticationFailed({"error_code": "user_is_disabled", "developer_message": "User is inactive."})
        return user, token

    def authenticate_header(self, request):
        return f'Bearer realm="{self.www_authenticate_realm}"'


class BearerAuthenticationAllowInactiveUser(BearerAuthentication):
    allow_inactive_users = True
