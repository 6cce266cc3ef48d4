# What deploy, operate and portal-upload share; they set `stack` and read this file.

# Arguments of sam deploy for this stack, its region among them; git ignores the folder.
settings="$here/stacks/$stack.toml"
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

# Every program that is called then works in the same region, whichever of the two variables it reads: the one that is given, or
# the stack's own in infra/stacks, or the environment's.
resolve_region() {
  own=
  [ ! -e "$settings" ] || own=$(sed -n 's/^region *= *"\(.*\)" *$/\1/p' "$settings")
  asked=${AWS_REGION:-${AWS_DEFAULT_REGION:-}}
  if [ -z "${1:-}" ] && [ -n "$own" ] && [ -n "$asked" ] && [ "$own" != "$asked" ]; then
    fail "$settings says $own, AWS_REGION says $asked: which one? Nothing was done."
  fi
  AWS_REGION=${1:-${own:-${asked:-$(aws configure get region || true)}}}
  [ -n "$AWS_REGION" ] || fail "which region? Set AWS_REGION. Nothing was done."
  AWS_DEFAULT_REGION=$AWS_REGION
  export AWS_REGION AWS_DEFAULT_REGION
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

# The release that runs, its template as it was packaged, and the bucket in which that has its artifacts.
read_release() {
  release=$(aws cloudformation describe-stacks --stack-name "$stack" --output text \
    --query "Stacks[0].Parameters[?ParameterKey=='Release'].ParameterValue | [0]") || fail "the stack $stack can't be read in $AWS_REGION."
  aws cloudformation get-template --stack-name "$stack" --template-stage Original --output text --query TemplateBody >"$folder/packaged" ||
    fail "the template of $stack can't be read in $AWS_REGION."
  bucket=$(sed -n -e 's|^ *CodeUri: s3://\([^/]*\)/.*|\1|p' -e 's|^ *S3Bucket: \(.*\)|\1|p' "$folder/packaged" | head -n 1)
  [ -n "$bucket" ] || fail "the template of $stack names no bucket with its artifacts."
}
