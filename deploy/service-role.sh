#!/bin/sh
# Run once by the PostgreSQL image when its volume is empty: makes the role that serves ledgers and owns nothing.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$CONTINUITY_SERVICE_PASSWORD" \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE continuity_service LOGIN PASSWORD :'password';
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
SQL
