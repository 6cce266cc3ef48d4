# Shared by deploy, roll-back, operate and portal-upload. They set `here` and source this file,
# which takes `STACK [--region R] [--profile P]` from their arguments and leaves the others.

# Tools that tests/tools/setup installed, and the compiler's helpers, which cargo-lambda expects
# beside Python.
PATH="$here/../target/tools/bin:$PATH"

fail() {
  echo "infra/${0##*/}: $*" >&2
  exit 1
}

need() {
  missing=
  for tool; do
    command -v "$tool" >/dev/null || missing="$missing $tool"
  done
  [ -z "$missing" ] || fail "missing:$missing (tests/tools/setup installs sam and cargo-lambda into target/tools;" \
    "install the AWS CLI, version 2, from AWS). Nothing was done."
  case $(aws --version 2>&1) in
    aws-cli/2.*) ;;
    *) fail "AWS CLI v2 is required; $(command -v aws) is $(aws --version 2>&1 | cut -d ' ' -f 1). Nothing was done." ;;
  esac
}

stack=${1:?the name of the stack is required}
shift
command -v python3 >/dev/null || fail "missing: python3. Nothing was done."
# Sets `settings`, `region`, `profile` and the other arguments.
assignments=$(python3 "$here/settings.py" where "$here/stacks" "$stack" "$@") || exit 1
eval "$assignments"
if [ -n "$profile" ]; then
  # Keys in the environment would take precedence over AWS_PROFILE, but the profile was asked for.
  unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
  export AWS_PROFILE="$profile"
fi

# Sets both variables, so that every program works in the same region whichever it reads.
resolve_region() {
  AWS_REGION=${region:-$(aws configure get region || true)}
  [ -n "$AWS_REGION" ] || fail "no region given: use --region or set AWS_REGION. Nothing was done."
  AWS_DEFAULT_REGION=$AWS_REGION
  export AWS_REGION AWS_DEFAULT_REGION
}

# Runs another script for the same stack, region and profile: `script NAME ARGUMENT…`.
script() {
  other=$1
  shift
  "$here/$other" "$stack" --region "$AWS_REGION" ${profile:+--profile "$profile"} "$@"
}

read_outputs() {
  outputs=$(aws cloudformation describe-stacks --stack-name "$stack" --output text \
    --query 'Stacks[0].Outputs[].[OutputKey,OutputValue]') || fail "could not read the stack $stack in $AWS_REGION. Nothing was done."
}

# Prints an output that read_outputs has read, or nothing if it has no value, which the AWS CLI
# prints as "None".
output_if_any() {
  printf '%s\n' "$outputs" | awk -v key="$1" '$1 == key && $2 != "None" { print $2 }'
}

# Prints an output that must exist.
output() {
  value=$(output_if_any "$1")
  [ -n "$value" ] || fail "the stack $stack in $AWS_REGION has no output $1. Nothing was done."
  printf '%s\n' "$value"
}

# Fails if a stack with this status can't be updated: `check_status STATUS`.
check_status() {
  case $1 in
    CREATE_COMPLETE | UPDATE_COMPLETE | UPDATE_ROLLBACK_COMPLETE | IMPORT_COMPLETE | IMPORT_ROLLBACK_COMPLETE) ;;
    *_IN_PROGRESS) fail "the stack $stack is $1; wait until that has finished. Nothing was done." ;;
    CREATE_FAILED | ROLLBACK_COMPLETE | ROLLBACK_FAILED)
      fail "the stack $stack was never created ($1); infra/runbook.md lists what it left behind. First run" \
        "aws cloudformation delete-stack --stack-name $stack. Nothing was done."
      ;;
    UPDATE_ROLLBACK_FAILED) fail "the stack $stack is $1: first run aws cloudformation continue-update-rollback --stack-name $stack. Nothing was done." ;;
    UPDATE_FAILED) fail "the stack $stack is $1: first run aws cloudformation rollback-stack --stack-name $stack. Nothing was done." ;;
    DELETE_FAILED) fail "the stack $stack is $1: first run aws cloudformation delete-stack --stack-name $stack again. Nothing was done." ;;
    *) fail "the stack $stack is $1, a status in which it can't be deployed. Nothing was done." ;;
  esac
}

# Writes the parameters of the running stack to $folder/running, and sets `release`.
read_parameters() {
  aws cloudformation describe-stacks --stack-name "$stack" --output json --query 'Stacks[0].Parameters || `[]`' >"$folder/running" ||
    fail "could not read the parameters of $stack in $AWS_REGION. Nothing was done."
  release=$(python3 -c 'import json, sys
print(*[one["ParameterValue"] for one in json.load(sys.stdin) if one["ParameterKey"] == "Release"])' <"$folder/running")
}

# Copies the records of the stack's releases to $folder/runs: `read_runs BUCKET`.
read_runs() {
  mkdir -p "$folder/runs"
  aws s3 cp --recursive --only-show-errors "s3://$1/runs" "$folder/runs" || fail "could not read the release records of $stack from $1."
}

# Records the release that runs now, after its files are stored: `record BUCKET PORTAL [FROM]`.
record() {
  bucket=$1
  shift
  read_parameters
  named=$(python3 "$here/releases.py" record "$folder/runs" "$folder/running" "$@")
  aws s3 cp --only-show-errors "$folder/runs/$named" "s3://$bucket/runs/$named"
}

# Copies a portal from a folder: `put_portal FOLDER TO`. First the files that pages load, then the
# page that names them; last, it deletes files that no page loads any more. It copies all files,
# because a sync would skip changed files of the same size or with an older date.
put_portal() {
  aws s3 cp --recursive --only-show-errors "$1" "$2" --exclude '*.d.ts' --exclude index.html
  aws s3 cp --only-show-errors "$1/index.html" "$2/index.html" --content-type 'text/html; charset=utf-8'
  aws s3 sync --only-show-errors "$1" "$2" --exclude '*.d.ts' --delete
}

# Copies a portal to the stack's bucket and invalidates the distribution's cache. Requires
# read_outputs.
serve_portal() {
  url=$(output PortalUrl)
  distribution=$(output PortalDistributionId)
  site=$(output PortalBucketName)
  put_portal "$1" "s3://$site"
  invalidation=$(aws cloudfront create-invalidation --distribution-id "$distribution" --paths '/*' --query Invalidation.Id --output text)
  aws cloudfront wait invalidation-completed --distribution-id "$distribution" --id "$invalidation"
  echo "The portal is at $url."
}
