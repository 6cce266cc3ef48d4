# What deploy, operate and portal-upload share; they set `stack` and read this file.

fail() {
  echo "infra/${0##*/}: $*" >&2
  exit 1
}

# Every program that is called then works in the same region, whichever of the two variables it reads.
resolve_region() {
  AWS_REGION=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
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
