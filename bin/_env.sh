# shellcheck shell=bash
# Sourced by bin/airflow and bin/tieout: where things are, and this project's settings as defaults that any
# AIRFLOW__… or TIEOUT_… variable of the caller's overrides. Needs TIEOUT_ROOT; leaves $TIEOUT_PYTHON.

umask 027

# Gives a variable a value unless the caller set it, in any of the forms that Airflow reads.
_default() {
    local name=$1 command="${1}_CMD" secret="${1}_SECRET"
    if [[ -z ${!name+x} && -z ${!command+x} && -z ${!secret+x} ]]; then
        export "$name=$2"
    fi
}

# A random secret that survives restarts: made once, by whichever process links it first, readable by its owner only.
_kept_secret() {
    local file="$AIRFLOW_HOME/.secrets/$1"
    if [[ ! -s $file ]]; then
        mkdir -p "${file%/*}" && chmod 700 "${file%/*}"
        local draft
        draft=$(mktemp "$file.XXXXXX")
        head -c "$2" /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_' >"$draft"
        ln "$draft" "$file" 2>/dev/null || [[ -s $file ]]
        rm -f "$draft"
    fi
    REPLY=$(<"$file")
}

_default_secret() {
    local command="${1}_CMD" secret="${1}_SECRET"
    if [[ -z ${!1+x} && -z ${!command+x} && -z ${!secret+x} ]]; then
        _kept_secret "$2" "$3"
        export "$1=$REPLY"
    fi
}

TIEOUT_PYTHON="$TIEOUT_ROOT/.venv/bin/python"
if [[ -x $TIEOUT_PYTHON ]]; then
    "$TIEOUT_PYTHON" -I -S "$TIEOUT_ROOT/scripts/setup_venv.py" >&2
else
    make --no-print-directory -C "$TIEOUT_ROOT" setup >&2
fi

: "${AIRFLOW_HOME:=$TIEOUT_ROOT/.airflow}"
mkdir -p "$AIRFLOW_HOME"
AIRFLOW_HOME=$(cd "$AIRFLOW_HOME" && pwd)
export AIRFLOW_HOME

# The library, then `sandbox` and `include` beside it, then whatever the caller had.
export PYTHONPATH="$TIEOUT_ROOT/plugins:$TIEOUT_ROOT${PYTHONPATH:+:$PYTHONPATH}"
_default TIEOUT_INCLUDE "$TIEOUT_ROOT/include"
_default TIEOUT_STAGING "file://$AIRFLOW_HOME/staging"
_default AIRFLOW__CORE__DAGS_FOLDER "$TIEOUT_ROOT/dags"
_default AIRFLOW__CORE__PLUGINS_FOLDER "$TIEOUT_ROOT/plugins"
_default AIRFLOW__CORE__LOAD_EXAMPLES False
_default AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS admin:admin,viewer:viewer
_default AIRFLOW__CORE__TEST_CONNECTION Enabled

# SQLite takes one writer at a time: few task slots and a patient busy timeout, or the scheduler dies of "database is
# locked". PostgreSQL takes more.
if [[ -z ${AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD+x}${AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_SECRET+x} ]]; then
    _default AIRFLOW__DATABASE__SQL_ALCHEMY_CONN "sqlite:///$AIRFLOW_HOME/airflow.db?timeout=60"
fi
if [[ ${AIRFLOW__DATABASE__SQL_ALCHEMY_CONN:-} == sqlite* ]]; then
    _default AIRFLOW__CORE__PARALLELISM 4
    if [[ ! -e $AIRFLOW_HOME/config/airflow_local_settings.py ]]; then
        PYTHONPATH+=":$TIEOUT_ROOT/scripts/sqlite"
    fi
else
    _default AIRFLOW__CORE__PARALLELISM 16
fi

# Tasks follow one another without a pause; workers are forked from a server that has the heavy imports already.
_default AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME 0.1
_default AIRFLOW__CORE__MP_START_METHOD forkserver
# Great Expectations first: once Airflow's logging is set up, its import writes hundreds of lines. Airflow's own modules
# too, or every task spends half a second on importing them.
preload=great_expectations,pandas,pyarrow.parquet,asyncssh,airflow.__main__,airflow.cli.cli_parser
preload+=,airflow.executors.local_executor,airflow.sdk.execution_time.supervisor,airflow.sdk.execution_time.task_runner
preload+=,airflow.dag_processing.dagbag,airflow.dag_processing.bundles.local,airflow.providers.standard.decorators.python
preload+=,airflow.providers.openlineage.plugins.listener
_default AIRFLOW__CORE__MP_FORKSERVER_PRELOAD "$preload"
unset preload
_default AIRFLOW__LOGGING__NAMESPACE_LEVELS great_expectations=WARNING
_default AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL 10
_default AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL 15
_default AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL 2
_default AIRFLOW__API__WORKERS 1

# Lineage goes to a local file, which is kept bounded, unless the caller says where it belongs. In a thread: forking a
# task's process while it has threads of its own (SSH, Arrow) can leave it hanging. No source code in events, and every
# operator says itself what it reads and writes: what its hooks have touched on the way is not asked.
if [[ -z ${!OPENLINEAGE__TRANSPORT*}${OPENLINEAGE_URL+x}${OPENLINEAGE_CONFIG+x}${AIRFLOW__OPENLINEAGE__CONFIG_PATH+x} ]]; then
    _default AIRFLOW__OPENLINEAGE__TRANSPORT \
        "{\"type\": \"tieout.lineage.event_file.EventFile\", \"path\": \"$AIRFLOW_HOME/lineage/events.jsonl\"}"
fi
_default AIRFLOW__OPENLINEAGE__NAMESPACE tieout
_default AIRFLOW__OPENLINEAGE__EXECUTE_IN_THREAD True
_default AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT 30
_default AIRFLOW__OPENLINEAGE__EMISSION_POLICY \
    '[{"scope": {}, "controls": {"include_source_code": false, "hook_lineage": false}}]'

# Nothing reports home.
_default AIRFLOW__USAGE_DATA_COLLECTION__ENABLED False
_default GX_ANALYTICS_ENABLED false
_default RUNTIME__DLTHUB_TELEMETRY false

# One set of keys per AIRFLOW_HOME, so that what was encrypted yesterday can be read today.
_default_secret AIRFLOW__CORE__FERNET_KEY fernet_key 32
_default_secret AIRFLOW__API_AUTH__JWT_SECRET jwt_secret 64
_default_secret AIRFLOW__API__SECRET_KEY api_secret_key 32

# What a prepared AIRFLOW_HOME was prepared with: databases, their migrations, the settings file and the environment
# that it refers to. Only a checksum of it is kept.
_home_key() {
    local name
    {
        printf '%s\n' "$TIEOUT_ROOT" "${AIRFLOW__DATABASE__SQL_ALCHEMY_CONN:-}" "${AIRFLOW_CONN_TIEOUT_LEDGER:-}"
        cat "$TIEOUT_ROOT/requirements.lock" "$TIEOUT_ROOT/airflow_settings.yaml"
        printf '%s\n' "$TIEOUT_ROOT"/plugins/tieout/ledger/migrations/versions/*.py
        for name in $(grep -o '\${[A-Za-z_][A-Za-z0-9_]*' "$TIEOUT_ROOT/airflow_settings.yaml" | tr -d '${'); do
            printf '%s=%s\n' "$name" "${!name:-}"
        done
    } | cksum
}

# Migrates a new AIRFLOW_HOME's databases and loads airflow_settings.yaml; later calls read one small file. The stamp's
# first line is the key, the others are files (SQLite) that must still exist.
_prepare_home() {
    local key stamp="$AIRFLOW_HOME/.prepared" line lines=()
    key=$(_home_key)
    if [[ -f $stamp ]]; then
        while IFS= read -r line; do lines+=("$line"); done <"$stamp"
        if [[ ${lines[0]:-} == "$key" ]]; then
            for line in "${lines[@]:1}"; do
                [[ -f $line ]] || break
            done
            [[ ${#lines[@]} == 1 || -f $line ]] && return 0
        fi
    fi
    "$TIEOUT_PYTHON" "$TIEOUT_ROOT/scripts/prepare_home.py" "$key" >&2
}
