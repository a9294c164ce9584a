# Tieout on the official Airflow image, installed from the hashed lock only. For a reproducible build give the base
# image by digest: docker build --build-arg AIRFLOW_IMAGE=apache/airflow:3.3.2-python3.12@sha256:… .
ARG AIRFLOW_IMAGE=apache/airflow:3.3.2-python3.12
FROM ${AIRFLOW_IMAGE}

WORKDIR /opt/airflow
COPY --chown=airflow:0 requirements-production.lock requirements.txt pyproject.toml README.md LICENSE ./
# The lock is the whole closure, so nothing is left to resolve; older resolvers stumble over extras in hashed locks.
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements-production.lock

# The library is installed where it lies, so that Airflow finds its entry points and the plugins folder holds it too.
COPY --chown=airflow:0 plugins/ plugins/
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable .
COPY --chown=airflow:0 dags/ dags/
COPY --chown=airflow:0 include/ include/
COPY --chown=airflow:0 scripts/load_settings.py scripts/prepare_home.py scripts/
COPY --chown=airflow:0 airflow_settings.yaml ./
# New volumes take over these folders' owner: user 50000, or any other in group 0.
RUN mkdir -p home staging && chmod 2775 home staging

ENV PYTHONPATH=/opt/airflow/plugins:/opt/airflow \
    TIEOUT_INCLUDE=/opt/airflow/include \
    GX_ANALYTICS_ENABLED=false \
    AIRFLOW__CORE__LOAD_EXAMPLES=False
