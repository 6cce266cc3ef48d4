# What deploy, roll-back, operate and portal-upload share. They set `here` and read this file, which takes `STACK [--region R] [--profile P]`
# from their arguments and leaves the others.

# What tests/tools/setup installed, with the compiler's helpers that cargo-lambda looks for beside Python.
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
    "the AWS CLI, version 2, comes from AWS). Nothing was done."
  case $(aws --version 2>&1) in
    aws-cli/2.*) ;;
    *) fail "AWS CLI v2 needed; $(command -v aws) is $(aws --version 2>&1 | cut -d ' ' -f 1). Nothing was done." ;;
  esac
}

stack=${1:?the name of the stack is needed}
shift
command -v python3 >/dev/null || fail "missing: python3. Nothing was done."
# `settings`, `region`, `profile` and the other arguments.
told=$(python3 "$here/settings.py" where "$here/stacks" "$stack" "$@") || exit 1
eval "$told"
if [ -n "$profile" ]; then
  # Programs prefer keys in the environment to AWS_PROFILE, but a profile that was asked for to both.
  unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
  export AWS_PROFILE="$profile"
fi

# Every program that is called then works in the same region, whichever of the two variables it reads.
resolve_region() {
  AWS_REGION=${region:-$(aws configure get region || true)}
  [ -n "$AWS_REGION" ] || fail "which region? Say --region, or set AWS_REGION. Nothing was done."
  AWS_DEFAULT_REGION=$AWS_REGION
  export AWS_REGION AWS_DEFAULT_REGION
}

# Runs another script for the same stack, where this one works: `script NAME ARGUMENT…`.
script() {
  other=$1
  shift
  "$here/$other" "$stack" --region "$AWS_REGION" ${profile:+--profile "$profile"} "$@"
}

read_outputs() {
  outputs=$(aws cloudformation describe-stacks --stack-name "$stack" --output text \
    --query 'Stacks[0].Outputs[].[OutputKey,OutputValue]') || fail "the stack $stack can't be read in $AWS_REGION. Nothing was done."
}

# The value of an output that read_outputs has read, empty without one. What the AWS CLI has no value for it prints as "None".
output_if_any() {
  printf '%s\n' "$outputs" | awk -v key="$1" '$1 == key && $2 != "None" { print $2 }'
}

# As output_if_any, of one that there must be.
output() {
  value=$(output_if_any "$1")
  [ -n "$value" ] || fail "the stack $stack in $AWS_REGION has no output $1. Nothing was done."
  printf '%s\n' "$value"
}

# Refuses a stack that can't be updated now: `check_status STATUS`.
check_status() {
  case $1 in
    CREATE_COMPLETE | UPDATE_COMPLETE | UPDATE_ROLLBACK_COMPLETE | IMPORT_COMPLETE | IMPORT_ROLLBACK_COMPLETE) ;;
    *_IN_PROGRESS) fail "the stack $stack is $1; wait for its end. Nothing was done." ;;
    CREATE_FAILED | ROLLBACK_COMPLETE | ROLLBACK_FAILED)
      fail "the stack $stack was never created ($1); infra/runbook.md lists what it left behind. First run" \
        "aws cloudformation delete-stack --stack-name $stack. Nothing was done."
      ;;
    UPDATE_ROLLBACK_FAILED) fail "the stack $stack is $1: first aws cloudformation continue-update-rollback --stack-name $stack. Nothing was done." ;;
    UPDATE_FAILED) fail "the stack $stack is $1: first aws cloudformation rollback-stack --stack-name $stack. Nothing was done." ;;
    DELETE_FAILED) fail "the stack $stack is $1: first aws cloudformation delete-stack --stack-name $stack again. Nothing was done." ;;
    *) fail "the stack $stack is $1, in which no deployment is known to work. Nothing was done." ;;
  esac
}

# The parameters of the running stack into $folder/running, and its release.
read_parameters() {
  aws cloudformation describe-stacks --stack-name "$stack" --output json --query 'Stacks[0].Parameters || `[]`' >"$folder/running" ||
    fail "the parameters of $stack can't be read in $AWS_REGION. Nothing was done."
  release=$(python3 -c 'import json, sys
print(*[one["ParameterValue"] for one in json.load(sys.stdin) if one["ParameterKey"] == "Release"])' <"$folder/running")
}

# The records of the stack's releases, `read_runs BUCKET`, into $folder/runs.
read_runs() {
  mkdir -p "$folder/runs"
  aws s3 cp --recursive --only-show-errors "s3://$1/runs" "$folder/runs" || fail "the records of $stack's releases can't be read from $1."
}

# Records what runs now, after all that belongs to it: `record BUCKET PORTAL [FROM]`.
record() {
  bucket=$1
  shift
  read_parameters
  named=$(python3 "$here/releases.py" record "$folder/runs" "$folder/running" "$@")
  aws s3 cp --only-show-errors "$folder/runs/$named" "s3://$bucket/runs/$named"
}

# Copies a portal from a folder: `put_portal FOLDER TO`. What pages load goes first, the page that names it next, and what no page loads any
# more last. All is copied: a sync would leave files of the same size, or of a younger date, as they are.
put_portal() {
  aws s3 cp --recursive --only-show-errors "$1" "$2" --exclude '*.d.ts' --exclude index.html
  aws s3 cp --only-show-errors "$1/index.html" "$2/index.html" --content-type 'text/html; charset=utf-8'
  aws s3 sync --only-show-errors "$1" "$2" --exclude '*.d.ts' --delete
}

# Puts a portal into the stack's bucket, and lets its distribution forget the files before. Needs read_outputs.
serve_portal() {
  url=$(output PortalUrl)
  distribution=$(output PortalDistributionId)
  site=$(output PortalBucketName)
  put_portal "$1" "s3://$site"
  invalidation=$(aws cloudfront create-invalidation --distribution-id "$distribution" --paths '/*' --query Invalidation.Id --output text)
  aws cloudfront wait invalidation-completed --distribution-id "$distribution" --id "$invalidation"
  echo "The portal is at $url."
}
