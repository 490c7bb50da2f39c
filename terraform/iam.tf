# A role for each service. Commands of jobs cannot use it: the image closes the address that hands out its credentials.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

resource "aws_iam_role" "instances" {
  for_each = local.services

  name_prefix = "${var.name}-${each.key}-"
  description = "BJR: ${each.key} instances"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.${data.aws_partition.current.dns_suffix}" }
    }]
  })
}

resource "aws_iam_instance_profile" "instances" {
  for_each = local.services

  name_prefix = "${var.name}-${each.key}-"
  role        = aws_iam_role.instances[each.key].name
}

resource "aws_iam_role_policy" "secret" {
  for_each = local.services

  name_prefix = "secret-"
  role        = aws_iam_role.instances[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = [local.secret_arn]
      }],
      [for key in var.kms_key_arn[*] : {
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [key]
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.${data.aws_partition.current.dns_suffix}" } }
      }],
    )
  })
}

resource "aws_iam_role_policy" "drain" {
  name_prefix = "drain-"
  role        = aws_iam_role.instances["worker"].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"]
        Resource = [join(":", [
          "arn", data.aws_partition.current.partition, "autoscaling", var.region, data.aws_caller_identity.current.account_id,
          "autoScalingGroup:*:autoScalingGroupName/${local.worker_group}",
        ])]
      },
      {
        # Which group this instance is in. AWS knows no narrower right.
        Effect   = "Allow"
        Action   = ["autoscaling:DescribeAutoScalingInstances"]
        Resource = ["*"]
      },
    ]
  })
}

resource "aws_iam_role_policy_attachment" "session_manager" {
  for_each = local.services

  role       = aws_iam_role.instances[each.key].name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_role_policy_attachment" "further" {
  for_each = {
    for pair in setproduct(keys(local.services), var.instance_policy_arns) : "${pair[0]} ${pair[1]}" => { service = pair[0], arn = pair[1] }
  }

  role       = aws_iam_role.instances[each.value.service].name
  policy_arn = each.value.arn
}
