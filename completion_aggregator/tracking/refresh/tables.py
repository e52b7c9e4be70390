"""The tables that refreshing makes, column by column."""

from typing import Final

from completion_aggregator.tracking.tables import Column, Kind, Table

_ID, _TIME, _TERM, _TEXT = Kind.ID, Kind.TIME, Kind.TERM, Kind.TEXT
_INTEGER, _NUMBER, _FLAG = Kind.INTEGER, Kind.NUMBER, Kind.FLAG
_PERSON: Final = Column("person", _ID, "Keyed pseudonym of the learner, as in the tables of events.")
_COURSE: Final = Column("course", _TERM, "Course key, as the platform writes it.")
_BLOCK: Final = Column("block", _TERM, "Usage key of the block.")
_CREATED: Final = Column("created", _TIME, "When the platform's row was made.")
_MODIFIED: Final = Column("modified", _TIME, "When the platform last changed it.")

COURSE: Final = Table(
    "course",
    "course that the platform has",
    (
        _COURSE,
        Column("org", _TERM, "Organization of the course."),
        Column("number", _TERM, "Number of the course."),
        Column("run", _TERM, "Run of the course."),
        Column("name", _TERM, "Display name."),
        Column("version", _TERM, "Version of its content, as the platform names it."),
        Column("blocks", _INTEGER, "How many blocks it has."),
        Column("refreshed", _TIME, "When it was read."),
    ),
)
BLOCK: Final = Table(
    "block",
    "block of a course",
    (
        _COURSE,
        _BLOCK,
        Column("type", _TERM, "Block type, such as `problem`."),
        Column("name", _TERM, "Display name; NULL where the author gave none."),
        Column("parent", _TERM, "Usage key of the block above; of several the first."),
        Column("parents", _INTEGER, "How many blocks hold it: more than one where content is shared."),
        Column("position", _INTEGER, "Place among the children of `parent`, from 1."),
        Column("depth", _INTEGER, "0: the course itself, 1: a section, and so on down."),
        Column("path", _TERM, "Names from the section down to the block itself, joined by ` / `."),
        Column("mode", _TERM, "`completable`, `aggregator` or `excluded`."),
        Column("optional", _FLAG, "Of completable blocks: whether its completion counts apart."),
        Column("staff_only", _FLAG, "Whether only staff see it, by its own setting or one above."),
        Column("start", _TIME, "When it is released, by its own date or one above; NULL: always was."),
        Column("graded", _FLAG, "Whether it counts for the grade of the course; NULL: the platform does not say."),
        Column("number", _INTEGER, "Place in the outline, from 0: order by it to read the course as it stands."),
    ),
)
GRADE: Final = Table(
    "grade",
    "grade of a learner: of a course, of a subsection, what overrides one, on a certificate",
    (
        _PERSON,
        _COURSE,
        Column(
            "kind",
            _TERM,
            "`course`, `certificate`, `subsection` as it was worked out, or `override`: what the platform goes by"
            " instead, for this subsection.",
        ),
        Column("block", _TERM, "Usage key of the subsection."),
        Column("earned", _NUMBER, "Points, of all problems of the subsection."),
        Column("possible", _NUMBER, "Points that there are."),
        Column("earned_graded", _NUMBER, "Points, of those problems alone that are graded."),
        Column("possible_graded", _NUMBER, "Points that there are of them."),
        Column("ratio", _NUMBER, "0 to 1; of a subsection `earned` out of `possible`."),
        Column("letter", _TERM, "Letter grade of the course."),
        Column("passed", _FLAG, "Whether the course was passed; of certificates whether it can be downloaded."),
        Column("passed_at", _TIME, "When the course was first passed."),
        Column("attempted", _TIME, "When the first problem of the subsection was attempted; NULL: none was."),
        Column("mode", _TERM, "Of certificates, such as `verified`."),
        Column("status", _TERM, "Of certificates, such as `downloadable`; of overrides whose, such as `GRADEBOOK`."),
        _CREATED,
        _MODIFIED,
    ),
)
ACTIVITY: Final = Table(
    "activity",
    "learner and problem",
    (
        _PERSON,
        _COURSE,
        _BLOCK,
        Column("module_type", _TERM, "Block type as the platform noted it."),
        Column("earned", _NUMBER, "Points; NULL: not graded."),
        Column("possible", _NUMBER, "Points that there are."),
        Column("percent", _NUMBER, "Earned out of possible, 0 to 100."),
        Column(
            "parts_correctness",
            _TERM,
            "A sign for each part, by the parts' names: `+` correct, `-` incorrect, `~` partially correct, `?` else.",
        ),
        Column("answers", _TEXT, "JSON object: the last answer to each part."),
        Column("attempts", _INTEGER, "How often it was submitted."),
        Column("done", _FLAG, "Whether it was submitted since it was last reset."),
        Column("seed", _INTEGER, "Seed of a randomized problem."),
        Column("last_submit", _TIME, "When it was last submitted, as the problem noted it; else `modified` if ever."),
        Column("state_quality", _TERM, "`ok`, `none`, or `broken`: the state is no JSON object, its columns are NULL."),
        Column("created", _TIME, "When the learner first opened it."),
        _MODIFIED,
    ),
)
ENROLLMENT_NOW: Final = Table(
    "enrollment_now",
    "learner and course, as the enrollment is now",
    (
        _PERSON,
        _COURSE,
        Column("mode", _TERM, "Such as `audit` or `verified`."),
        Column("is_active", _FLAG, "False after leaving the course."),
        _CREATED,
    ),
)
COHORT_MEMBER: Final = Table(
    "cohort_member",
    "learner in a cohort",
    (
        _PERSON,
        _COURSE,
        Column("cohort_id", _INTEGER, "The platform's number of the cohort."),
        Column("cohort_name", _TERM, "Its name."),
    ),
)
TEAM_MEMBER: Final = Table(
    "team_member",
    "learner in a team",
    (
        _PERSON,
        _COURSE,
        Column("team_id", _TERM, "The team's id, as events name it."),
        Column("team_name", _TERM, "Its name."),
        Column("topic", _TERM, "Id of the topic or team set."),
        Column("joined", _TIME, "When the learner joined."),
        Column("last_activity", _TIME, "When the learner was last active in the team's discussions."),
    ),
)
PARTITION_MEMBER: Final = Table(
    "partition_member",
    "learner in a group of a random partition, such as that of a split test",
    (
        _PERSON,
        _COURSE,
        Column("partition_id", _TERM, "Partition."),
        Column("group_id", _TERM, "Group."),
    ),
)
COURSE_ROLE: Final = Table(
    "course_role",
    "person with a role in a course or organization",
    (
        _PERSON,
        Column("course", _TERM, "Course key; NULL: every course of the organization."),
        Column("org", _TERM, "Organization."),
        Column("role", _TERM, "Such as `staff`, `instructor` or `beta_testers`."),
    ),
)
LTI_PERSON: Final = Table(
    "lti_person",
    "learner who comes by LTI",
    (
        _PERSON,
        Column("consumer", _TERM, "Name of the platform that sends her."),
        Column("lti_user_id", _TERM, "Her id there."),
        Column("user_id", _INTEGER, "Her number here."),
    ),
    is_private=True,
)
ANONYMOUS_ID: Final = Table(
    "anonymous_id",
    "id under which problems and open responses know a learner",
    (
        _PERSON,
        Column("course", _TERM, "Course key; NULL: the id of no course in particular."),
        Column("anonymous_id", _TERM, "The id."),
        Column("user_id", _INTEGER, "Her number."),
    ),
    is_private=True,
)
USER: Final = Table(
    "user",
    "account of the platform",
    (
        _PERSON,
        Column("user_id", _INTEGER, "The platform's number of the user."),
        Column("username", _TERM, "The platform's name of the user."),
        Column("email", _TERM, "Mail address."),
        Column("is_active", _FLAG, "Whether the account was activated and not closed."),
        Column("is_staff", _FLAG, "Whether it belongs to the platform's own staff."),
        Column("joined", _TIME, "When it was made."),
        Column("last_login", _TIME, "When it was last logged in."),
    ),
    is_private=True,
)
PROFILE: Final = Table(
    "profile",
    "what a user says of himself",
    (
        _PERSON,
        Column("user_id", _INTEGER, "The platform's number of the user."),
        Column("name", _TERM, "Full name."),
        Column("gender", _TERM, "`m`, `f`, `o`, or NULL."),
        Column("year_of_birth", _INTEGER, "Year of birth."),
        Column("level_of_education", _TERM, "Code of the highest level of education."),
        Column("country", _TERM, "ISO 3166 code."),
        Column("language", _TERM, "As written."),
    ),
    is_private=True,
)
POST: Final = Table(
    "post",
    "post of the discussions",
    (
        _PERSON,
        _COURSE,
        Column("item", _TERM, "Id of the post; of each level its own in the newer forum."),
        Column("level", _TERM, "`thread`, `response` or `comment`."),
        Column("parent", _TERM, "Id of the post that it answers."),
        Column("thread", _TERM, "Id of the thread."),
        Column("topic", _TERM, "Id of the topic; of threads."),
        Column("thread_type", _TERM, "Of threads: `discussion` or `question`."),
        _CREATED,
        Column("updated", _TIME, "When it was last changed."),
        Column("title_length", _INTEGER, "Characters of the title."),
        Column("body_length", _INTEGER, "Characters of the text; the text itself is private."),
        Column("votes", _INTEGER, "Votes for it less votes against it."),
        Column("endorsed", _FLAG, "Whether staff endorsed it or it is the answer."),
        Column("anonymous", _FLAG, "Whether it is shown without the author's name, to all or to other learners."),
        Column("visible", _FLAG, "False after it was hidden or deleted."),
        Column("pinned", _FLAG, "Of threads."),
        Column("closed", _FLAG, "Of threads."),
        Column("group_id", _INTEGER, "The cohort that alone sees it."),
    ),
)
POST_TEXT: Final = Table(
    "post_text",
    "post of the discussions, in words, where the site keeps them (`--keep-text`)",
    (
        Column("item", _TERM, "Id of the post."),
        Column("level", _TERM, "`thread`, `response` or `comment`."),
        _COURSE,
        Column("title", _TEXT, "Title of a thread."),
        Column("body", _TEXT, "The text."),
    ),
    is_private=True,
)
#: All of them, by name.
REFRESHED: Final = {
    table.name: table
    for table in (
        COURSE, BLOCK, GRADE, ACTIVITY, ENROLLMENT_NOW, COHORT_MEMBER, TEAM_MEMBER, PARTITION_MEMBER, COURSE_ROLE,
        LTI_PERSON, ANONYMOUS_ID, USER, PROFILE, POST, POST_TEXT,
    )
}  # fmt: skip
