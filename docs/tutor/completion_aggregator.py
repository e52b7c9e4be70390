"""A Tutor plug-in: completion-aggregator in the LMS, with the service that keeps progress current.

Copy it into the folder that `tutor plugins printroot` prints; docs/how-to/install-with-tutor.md tells the rest. For
Tutor 21 and newer.
"""
# ruff: noqa: INP001 - a file to copy, in no package

from tutor import hooks

hooks.Filters.CONFIG_DEFAULTS.add_items(
    [
        # What pip installs into the image, such as "completion-aggregator[xapi]==5.0.0" or a path or URL of your own.
        ("COMPLETION_AGGREGATOR_REQUIREMENT", "completion-aggregator>=5.0,<6"),
        # Django settings of docs/reference/settings.md, without the prefix COMPLETION_AGGREGATOR_.
        ("COMPLETION_AGGREGATOR_SETTINGS", {"ASYNC_AGGREGATION": True}),
        # Seconds that the service rests after each turn.
        ("COMPLETION_AGGREGATOR_LOOP_SECONDS", 30),
        # How many services run in Kubernetes; each takes learners that no other has.
        ("COMPLETION_AGGREGATOR_REPLICAS", 1),
    ]
)

# The tables are in the database that the LMS and Studio share: one of them makes them.
hooks.Filters.CLI_DO_INIT_TASKS.add_item(("lms", "./manage.py lms migrate completion_aggregator\n"))

# The package of 4.x, which other plug-ins may have installed, has files of the same names. Held to the Django that is
# there, pip fails where that is too old, instead of putting another one under the LMS.
hooks.Filters.ENV_PATCHES.add_item(
    (
        "openedx-dockerfile-post-python-requirements",
        """
RUN --mount=type=cache,target=/openedx/.cache/pip,sharing=shared \\
    PIP_YES=1 ${PIP_COMMAND:-pip} uninstall openedx-completion-aggregator && \\
    python -c 'import django; print("Django==" + django.__version__)' >/tmp/django.txt && \\
    ${PIP_COMMAND:-pip} install --constraint=/tmp/django.txt '{{ COMPLETION_AGGREGATOR_REQUIREMENT }}'
""",
    )
)

# JSON is YAML, too.
hooks.Filters.ENV_PATCHES.add_item(
    (
        "lms-env",
        """
{%- for name, value in COMPLETION_AGGREGATOR_SETTINGS.items() %}
COMPLETION_AGGREGATOR_{{ name }}: {{ value|tojson }}
{%- endfor %}
""",
    )
)

# What the LMS's own worker has: its settings, and the files among which large courses are kept.
hooks.Filters.ENV_PATCHES.add_item(
    (
        "local-docker-compose-prod-services",
        """
completion-aggregator:
  image: {{ DOCKER_IMAGE_OPENEDX }}
  environment:
    SERVICE_VARIANT: lms
    DJANGO_SETTINGS_MODULE: lms.envs.tutor.production
  command: ["./manage.py", "lms", "run_aggregator_service", "--loop", "{{ COMPLETION_AGGREGATOR_LOOP_SECONDS }}"]
  restart: unless-stopped
  stop_grace_period: 60s
  volumes:
    - ../apps/openedx/settings/lms:/openedx/edx-platform/lms/envs/tutor:ro
    - ../apps/openedx/settings/cms:/openedx/edx-platform/cms/envs/tutor:ro
    - ../apps/openedx/config:/openedx/config:ro
    - ../../data/lms:/openedx/data
    - ../../data/openedx-media:/openedx/media
    - ../../data/openedx-media-private:/openedx/media-private
  depends_on:
    - lms
""",
    )
)

hooks.Filters.ENV_PATCHES.add_item(
    (
        "k8s-deployments",
        """
{%- macro pod(command) %}
securityContext:
  runAsUser: 1000
  runAsGroup: 1000
terminationGracePeriodSeconds: 60
containers:
  - name: completion-aggregator
    image: {{ DOCKER_IMAGE_OPENEDX }}
    args: {{ (["./manage.py", "lms"] + command)|tojson }}
    env:
      - name: SERVICE_VARIANT
        value: lms
      - name: DJANGO_SETTINGS_MODULE
        value: lms.envs.tutor.production
    volumeMounts:
      - mountPath: /openedx/edx-platform/lms/envs/tutor/
        name: settings-lms
      - mountPath: /openedx/edx-platform/cms/envs/tutor/
        name: settings-cms
      - mountPath: /openedx/config
        name: config
    securityContext:
      allowPrivilegeEscalation: false
volumes:
  - name: settings-lms
    configMap:
      name: openedx-settings-lms
  - name: settings-cms
    configMap:
      name: openedx-settings-cms
  - name: config
    configMap:
      name: openedx-config
{%- endmacro %}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: completion-aggregator
  labels:
    app.kubernetes.io/name: completion-aggregator
spec:
  replicas: {{ COMPLETION_AGGREGATOR_REPLICAS }}
  selector:
    matchLabels:
      app.kubernetes.io/name: completion-aggregator
  template:
    metadata:
      labels:
        app.kubernetes.io/name: completion-aggregator
    spec:
      {{ pod(["run_aggregator_service", "--loop", COMPLETION_AGGREGATOR_LOOP_SECONDS|string])|indent(6) }}
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: completion-aggregator-cleanup
  labels:
    app.kubernetes.io/name: completion-aggregator-cleanup
spec:
  schedule: "17 3 * * *"
  concurrencyPolicy: Forbid
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          {{ pod(["run_aggregator_cleanup"])|indent(10) }}
""",
    )
)
