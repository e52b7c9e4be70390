"""What comes back when access is asked for."""


class AccessResponse:
    def __init__(self, has_access, error_code=None, developer_message=None, user_message=None):
        self.has_access = has_access
        self.error_code = error_code
        self.developer_message = developer_message
        self.user_message = user_message

    def __bool__(self):
        return self.has_access


ACCESS_GRANTED = AccessResponse(True)
ACCESS_DENIED = AccessResponse(False, "access_denied")
