#!/bin/sh
# Starts a collector whose queues are on disk: start.sh gateway.yaml [more of the collector's arguments]
# The collector does not start while a queue file is damaged, as a failing disk can leave one. So each is checked first,
# by its format's own tool, and one that is damaged is set aside and said. What waited in it is lost to Jaeger or Kafka,
# and is still in the gateway's file.
set -eu
queue=${OTEL_USAGE_QUEUE:-./queue}
for file in "$queue"/exporter_*; do
    case $file in *.damaged-*) continue ;; esac
    [ -s "$file" ] || continue
    if ! "${BBOLT:-bbolt}" check "$file" >/dev/null 2>&1; then
        aside=$file.damaged-$(date -u +%Y%m%dT%H%M%SZ)
        mv "$file" "$aside"
        echo "otel-usage: the queue $file is damaged; it is set aside as $aside, and an empty one takes its place" >&2
    fi
done
config=$1
shift
exec "${OTELCOL:-otelcol-usage}" --config "$config" "$@"
