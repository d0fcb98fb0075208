#!/usr/bin/env bash
# Starts mongod as a replica set member with access control; the members' shared key comes from MONGODB_KEY.
set -euo pipefail
key=/data/configdb/tsunagu.key
umask 077
printf '%s' "$MONGODB_KEY" > "$key"
chown mongodb:mongodb "$key"
unset MONGODB_KEY
# what was overwritten is not kept for readers that Tsunagu does not have: docs/decisions/0025-no-history-window.md
exec docker-entrypoint.sh mongod --replSet tsunagu --keyFile "$key" --bind_ip_all \
  --setParameter minSnapshotHistoryWindowInSeconds=0
