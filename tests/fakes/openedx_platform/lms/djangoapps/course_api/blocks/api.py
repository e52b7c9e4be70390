"""The Course Blocks API, as far as edx-completion's own views ask it: the visible blocks and their children."""


def get_blocks(request, usage_key, user=None, nav_depth=None, requested_fields=None, **_):
    from lms.djangoapps.course_blocks.api import get_course_blocks

    structure = get_course_blocks(user or request.user, usage_key)
    blocks = {
        str(key): {
            "id": str(key),
            "block_id": key.block_id,
            "type": key.block_type,
            "display_name": structure.get_xblock_field(key, "display_name"),
        }
        | ({"children": children} if (children := [str(child) for child in structure.get_children(key)]) else {})
        for key in structure.topological_traversal()
    }
    return {"root": str(structure.root_block_usage_key), "blocks": blocks}
