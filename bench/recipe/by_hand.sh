#!/bin/sh
# The recipe by hand with curl and jq: by_hand.sh BASE_URL FOLDER OUTPUT. At most 1,000 files, which are one batch.
# It uploads and fetches eight at a time. It cannot be interrupted and resumed, and stops at the first failure.
set -eu
base=$1 folder=$2 output=$3
answers=$(mktemp -d)
trap 'rm -rf "$answers"' EXIT
key='Authorization: Bearer llx-bench'

call() { curl --disable --silent --show-error --fail --header "$key" "$@"; }
many() { curl --disable --no-progress-meter --fail --parallel --parallel-max 8 --config "$1"; }

directory=$(call --json '{"name": "bench", "type": "ephemeral"}' "$base/api/v1/beta/directories" | jq -r .id)
for path in "$folder"/*; do
  name=${path##*/}
  printf 'next\nfail\nheader = "%s"\n' "$key"
  printf 'url = "%s/api/v1/beta/directories/%s/files/upload"\n' "$base" "$directory"
  printf 'form = "upload_file=@%s"\nform-string = "unique_id=%s"\n' "$path" "$name"
  printf 'output = "%s/%s.file"\n' "$answers" "$name"
done >"$answers/uploads"
many "$answers/uploads"

batch=$(jq -n --arg directory "$directory" '{source_directory_id: $directory, config: {job: {type: "parse_v2",
  configuration_id: "cfg-PARSE_AGENTIC"}}}' | call --json @- "$base/api/v2/batches" | jq -r .id)
status=
while [ "$status" != COMPLETED ]; do
  sleep 0.5
  status=$(call "$base/api/v2/batches/$batch" | jq -r .status)
  case $status in
    FAILED | CANCELLED) exit 1 ;;
  esac
done
call "$base/api/v2/batches/$batch?expand=results" >"$answers/batch"

# A result is named after its file.
jq -r --slurpfile batch "$answers/batch" -n --arg base "$base" --arg answers "$answers" --arg key "$key" '
  [inputs | {key: .id, value: .unique_id}] | from_entries as $names | $batch[0].results[] |
  "next\nfail\nheader = \"\($key)\"", "url = \"\($base)/api/v2/parse/\(.job_reference.id)?expand=markdown_full\"",
  "output = \"\($answers)/\($names[.source_directory_file_id]).result\""' "$answers"/*.file >"$answers/fetches"
many "$answers/fetches"
jq -r --arg output "$output/" 'if .job.status != "COMPLETED" then error("a job is \(.job.status)") else
  @sh "printf %s \(.markdown_full) >\($output + (input_filename | sub(".*/"; "") | sub("result$"; "md")))" end' \
  "$answers"/*.result >"$answers/writes"
sh "$answers/writes"
