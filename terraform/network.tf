# Who may talk to whom. There is no SSH: `aws ssm start-session` opens a shell.

resource "aws_security_group" "balancer" {
  name_prefix = "${var.name}-balancer-"
  description = "BJR: load balancer"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-balancer" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "instances" {
  for_each = local.services

  name_prefix = "${var.name}-${each.key}-"
  description = "BJR: ${each.key} instances"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-${each.key}" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "database" {
  name_prefix = "${var.name}-database-"
  description = "BJR: database"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-database" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "redis" {
  name_prefix = "${var.name}-redis-"
  description = "BJR: Redis"
  vpc_id      = var.vpc_id
  tags        = { Name = "${var.name}-redis" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "balancer" {
  for_each = {
    for pair in setproduct(var.allowed_cidr_blocks, [80, 443]) : "${pair[0]}-${pair[1]}" => { block = pair[0], port = pair[1] }
  }

  security_group_id = aws_security_group.balancer.id
  description       = each.value.port == 80 ? "HTTP, which is sent on to HTTPS" : "HTTPS"
  cidr_ipv4         = each.value.block
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "balancer_to_api" {
  security_group_id            = aws_security_group.balancer.id
  description                  = "API"
  referenced_security_group_id = aws_security_group.instances["api"].id
  ip_protocol                  = "tcp"
  from_port                    = local.api_port
  to_port                      = local.api_port
}

resource "aws_vpc_security_group_ingress_rule" "api_from_balancer" {
  security_group_id            = aws_security_group.instances["api"].id
  description                  = "Load balancer"
  referenced_security_group_id = aws_security_group.balancer.id
  ip_protocol                  = "tcp"
  from_port                    = local.api_port
  to_port                      = local.api_port
}

resource "aws_vpc_security_group_ingress_rule" "metrics" {
  for_each = var.metrics_security_group_id == null ? {} : local.services

  security_group_id            = aws_security_group.instances[each.key].id
  description                  = "Metrics"
  referenced_security_group_id = var.metrics_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.metrics_port
  to_port                      = local.metrics_port
}

resource "aws_vpc_security_group_egress_rule" "to_database" {
  for_each = local.services

  security_group_id            = aws_security_group.instances[each.key].id
  description                  = "Database"
  referenced_security_group_id = aws_security_group.database.id
  ip_protocol                  = "tcp"
  from_port                    = local.database_port
  to_port                      = local.database_port
}

resource "aws_vpc_security_group_egress_rule" "to_redis" {
  for_each = local.services

  security_group_id            = aws_security_group.instances[each.key].id
  description                  = "Redis"
  referenced_security_group_id = aws_security_group.redis.id
  ip_protocol                  = "tcp"
  from_port                    = local.redis_port
  to_port                      = local.redis_port
}

resource "aws_vpc_security_group_egress_rule" "to_aws" {
  for_each = local.services

  security_group_id = aws_security_group.instances[each.key].id
  description       = "AWS: Secrets Manager, Systems Manager, Auto Scaling"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "worker" {
  for_each = toset(var.worker_egress_cidr_blocks)

  security_group_id = aws_security_group.instances["worker"].id
  description       = "Commands of jobs, and callbacks"
  cidr_ipv4         = each.value
  ip_protocol       = "-1"
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  for_each = local.services

  security_group_id            = aws_security_group.database.id
  description                  = each.key
  referenced_security_group_id = aws_security_group.instances[each.key].id
  ip_protocol                  = "tcp"
  from_port                    = local.database_port
  to_port                      = local.database_port
}

resource "aws_vpc_security_group_ingress_rule" "redis" {
  for_each = local.services

  security_group_id            = aws_security_group.redis.id
  description                  = each.key
  referenced_security_group_id = aws_security_group.instances[each.key].id
  ip_protocol                  = "tcp"
  from_port                    = local.redis_port
  to_port                      = local.redis_port
}
