# One image for the server, the writer and the management commands; compose.yaml chooses the command of each container.
# The image contains no secret: all settings of an installation come from the environment (.env.example).
# It runs on a read-only file system and writes only to /data (SQLite accounts, a volume) and /tmp.

# --- the chart library -------------------------------------------------------------------------------------------
FROM node:22-alpine AS dashboard
WORKDIR /dashboard
COPY dashboard/package.json dashboard/package-lock.json ./
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund --no-update-notifier

# --- the Python packages: exactly those of the lock file, with hashes; wheels only, so nothing is compiled -------
FROM python:3.13-slim-trixie AS packages
RUN python -m venv /venv
COPY requirements/server.lock /tmp/server.lock
RUN /venv/bin/pip install --no-cache-dir --no-input --disable-pip-version-check \
        --require-hashes --no-deps --only-binary :all: -r /tmp/server.lock \
    && /venv/bin/pip uninstall --yes --quiet pip

# --- the final image ---------------------------------------------------------------------------------------------
FROM python:3.13-slim-trixie
# A fixed id, so that the owner of the volume does not depend on the users of the machine.
RUN groupadd --gid 10001 wattstream \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin wattstream \
    && install --directory --owner 10001 --group 10001 --mode 0700 /data
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    STATIC_ROOT=/app/.static \
    DATABASE_URL=sqlite:////data/wattstream.sqlite3
WORKDIR /app
COPY --from=packages /venv /venv
COPY manage.py pyproject.toml ./
COPY asgi_project asgi_project
COPY core core
COPY auth_app auth_app
COPY devices_app devices_app
COPY history_app history_app
COPY live_app live_app
COPY rollup rollup
COPY schema_app schema_app
COPY telemetry telemetry
COPY simulator simulator
COPY writer writer
COPY dashboard dashboard
COPY clients/javascript/src clients/javascript/src
COPY --from=dashboard /dashboard/node_modules dashboard/node_modules
# With DEBUG, this command generates a temporary secret key. At start the server collects the files again and finds
# nothing to do, so this works on a read-only file system.
RUN DEBUG=1 DATABASE_URL=sqlite://:memory: python manage.py collectstatic --noinput \
    && python -m compileall -q /app
ENV PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8000
CMD ["python", "-m", "asgi_project.server.serve", "--host", "0.0.0.0", "--port", "8000"]
