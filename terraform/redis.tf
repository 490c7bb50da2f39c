# Valkey: what BJR keeps there may be lost, so there are no backups; a replica takes over when the primary is gone.

resource "aws_elasticache_subnet_group" "bjr" {
  name       = var.name
  subnet_ids = var.private_subnet_ids
}

resource "aws_elasticache_parameter_group" "bjr" {
  name        = "${var.name}-valkey8"
  family      = "valkey8"
  description = "BJR"

  # A lock or a heartbeat that was evicted is worse than a write that is refused.
  parameter {
    name  = "maxmemory-policy"
    value = "noeviction"
  }
}

resource "aws_elasticache_replication_group" "bjr" {
  replication_group_id = var.name
  description          = "BJR: heartbeats, locks, messages, live output"
  engine               = "valkey"
  engine_version       = "8.0"
  node_type            = var.redis_node_type
  port                 = local.redis_port
  parameter_group_name = aws_elasticache_parameter_group.bjr.name

  num_cache_clusters         = var.redis_nodes
  automatic_failover_enabled = true
  multi_az_enabled           = true
  subnet_group_name          = aws_elasticache_subnet_group.bjr.name
  security_group_ids         = [aws_security_group.redis.id]

  transit_encryption_enabled = true
  at_rest_encryption_enabled = true
  kms_key_id                 = var.kms_key_arn
  auth_token_wo              = local.redis_password
  auth_token_wo_version      = var.secrets_version

  maintenance_window         = "sun:04:30-sun:05:30"
  auto_minor_version_upgrade = true
  apply_immediately          = var.apply_immediately
}
