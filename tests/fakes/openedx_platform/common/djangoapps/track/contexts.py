"""What is told with a tracking event of a course."""


def course_context_from_course_id(course_id):
    if course_id is None:
        return {"course_id": "", "org_id": ""}
    return {"course_id": str(course_id), "org_id": course_id.org, "enterprise_uuid": ""}
