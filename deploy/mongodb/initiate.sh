#!/usr/bin/env bash
# Makes the replica set of one node unless it is there, and waits until the node is primary. On its very first start
# mongod is busy creating its user and cannot be reached yet: hence the tries.
set -euo pipefail
for _ in $(seq 30); do
  if mongosh "mongodb://mongodb:27017/?directConnection=true&serverSelectionTimeoutMS=3000" --quiet --norc \
    --username tsunagu --password "$MONGODB_PASSWORD" --authenticationDatabase admin --eval '
    try { rs.status() } catch (error) {
      if (error.codeName !== "NotYetInitialized") throw error
      rs.initiate({ _id: "tsunagu", members: [{ _id: 0, host: "mongodb:27017" }] })
    }
    for (let i = 0; i < 300 && !db.hello().isWritablePrimary; i++) sleep(100)
    if (!db.hello().isWritablePrimary) throw new Error("no primary within 30 s")'; then
    exit 0
  fi
  sleep 2
done
echo "mongodb could not be initiated" >&2
exit 1
