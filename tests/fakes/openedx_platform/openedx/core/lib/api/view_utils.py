"""What the LMS's views have in common."""

from django.core.exceptions import NON_FIELD_ERRORS, ObjectDoesNotExist, ValidationError
from django.http import Http404
from edx_rest_framework_extensions.auth.jwt.authentication import JwtAuthentication
from edx_rest_framework_extensions.auth.session.authentication import SessionAuthenticationAllowInactiveUser
from edx_rest_framework_extensions.permissions import IsUserInUrl
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from openedx.core.lib.api.authentication import BearerAuthenticationAllowInactiveUser


class DeveloperErrorResponseException(Exception):
    def __init__(self, response):
        super().__init__()
        self.response = response


class DeveloperErrorViewMixin:
    """Errors as ``{"developer_message": ..., "error_code": ...}`` or ``{"field_errors": ...}``."""

    @classmethod
    def api_error(cls, status_code, developer_message, error_code=None):
        body = {"developer_message": developer_message} | ({"error_code": error_code} if error_code else {})
        return DeveloperErrorResponseException(Response(body, status=status_code))

    def handle_exception(self, exc):
        if isinstance(exc, DeveloperErrorResponseException):
            return exc.response
        if isinstance(exc, APIException):
            return self._response(exc.status_code, exc.detail)
        if isinstance(exc, (Http404, ObjectDoesNotExist)):
            return self._response(status.HTTP_404_NOT_FOUND, str(exc) or "Not found.")
        if isinstance(exc, ValidationError):
            return self._validation_response(exc)
        return super().handle_exception(exc)

    def _response(self, status_code, told):
        if isinstance(told, dict):
            return Response(told, status=status_code)
        return self.api_error(status_code, told).response

    def _validation_response(self, error):
        if not hasattr(error, "error_dict"):
            return self._response(status.HTTP_400_BAD_REQUEST, error.messages[0])
        fields = {
            field: {"developer_message": messages[0]}
            for field, messages in error.message_dict.items()
            if field != NON_FIELD_ERRORS
        }
        return Response({"field_errors": fields}, status=status.HTTP_400_BAD_REQUEST)


def view_auth_classes(is_user=False, is_authenticated=True):
    def decorate(view):
        view.authentication_classes = (
            JwtAuthentication,
            BearerAuthenticationAllowInactiveUser,
            SessionAuthenticationAllowInactiveUser,
        )
        view.permission_classes = ()
        if is_authenticated:
            view.permission_classes += (IsAuthenticated,)
        if is_user:
            view.permission_classes += (IsUserInUrl,)
        return view

    return decorate
