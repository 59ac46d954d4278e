#!/usr/bin/env bash
# Runs `residua check` with the inputs of the GitHub Action, which come as variables of the environment.
set -euo pipefail
shopt -s nullglob globstar
# Patterns are expanded, words are not split: names may hold spaces.
IFS=

residua=${RESIDUA:-${RUNNER_TEMP:-/tmp}/residua/bin/residua}
arguments=()

option() {
    if [ -n "$2" ]; then arguments+=("$1" "$2"); fi
}

option --expect "${INPUT_EXPECT:-}"
option --fail-on "${INPUT_FAIL_ON:-}"
option --config "${INPUT_CONFIG:-}"
option --baseline "${INPUT_BASELINE:-}"
option --format "${INPUT_FORMAT:-github}"
option --report "${INPUT_SARIF:+sarif=$INPUT_SARIF}"
option --report "${INPUT_JUNIT:+junit=$INPUT_JUNIT}"
while IFS= read -r target; do
    option --target "$target"
done <<< "${INPUT_TARGET:-}"
while IFS= read -r argument; do
    if [ -n "$argument" ]; then arguments+=("$argument"); fi
done <<< "${INPUT_ARGUMENTS:-}"

summary=
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
    # The runner appends what several steps say; a report replaces its file.
    summary=$(mktemp -d)
    option --report "markdown=$summary/summary.md"
fi

models=()
while IFS= read -r pattern; do
    if [ -z "$pattern" ]; then continue; fi
    matched=($pattern)
    if [ ${#matched[@]} -eq 0 ]; then
        echo "::error title=residua check::no model matches ${pattern//'%'/%25}"
        exit 2
    fi
    models+=("${matched[@]}")
done <<< "${INPUT_MODELS:-}"

status=0
"$residua" check "${arguments[@]}" -- "${models[@]}" || status=$?
if [ -n "$summary" ] && [ -f "$summary/summary.md" ]; then
    cat "$summary/summary.md" >> "$GITHUB_STEP_SUMMARY"
fi
if [ -n "${GITHUB_OUTPUT:-}" ]; then
    echo "status=$status" >> "$GITHUB_OUTPUT"
fi
exit "$status"
