resource "aws_db_subnet_group" "bjr" {
  name       = var.name
  subnet_ids = var.private_subnet_ids
}

resource "aws_db_parameter_group" "bjr" {
  name_prefix = "${var.name}-"
  family      = "mysql8.4"
  description = "BJR"

  # Connections in clear are refused.
  parameter {
    name  = "require_secure_transport"
    value = "1"
  }

  parameter {
    name  = "character_set_server"
    value = "utf8mb4"
  }

  parameter {
    name  = "collation_server"
    value = "utf8mb4_unicode_ci"
  }

  parameter {
    name  = "local_infile"
    value = "0"
  }

  parameter {
    name  = "slow_query_log"
    value = "1"
  }

  parameter {
    name  = "long_query_time"
    value = "1"
  }

  # To where it is exported from.
  parameter {
    name  = "log_output"
    value = "FILE"
  }

  lifecycle {
    create_before_destroy = true
  }
}

# The final snapshot has a name of its own each time: one of an earlier installation may still be there.
resource "terraform_data" "created" {
  input = formatdate("YYYYMMDDhhmmss", timestamp())

  lifecycle {
    ignore_changes = [input]
  }
}

resource "aws_db_instance" "bjr" {
  identifier     = var.name
  engine         = "mysql"
  engine_version = var.database_engine_version
  instance_class = var.database_instance_class
  port           = local.database_port

  # `bjr migrate` makes the database itself, with the character set that it needs.
  username            = local.database_username
  password_wo         = local.database_password
  password_wo_version = var.secrets_version
  snapshot_identifier = var.database_snapshot

  multi_az               = var.database_multi_az
  publicly_accessible    = false
  db_subnet_group_name   = aws_db_subnet_group.bjr.name
  vpc_security_group_ids = [aws_security_group.database.id]
  parameter_group_name   = aws_db_parameter_group.bjr.name
  ca_cert_identifier     = "rds-ca-rsa2048-g1"

  storage_type          = "gp3"
  allocated_storage     = var.database_storage_gib
  max_allocated_storage = var.database_storage_max_gib
  storage_encrypted     = true
  kms_key_id            = var.kms_key_arn

  backup_retention_period   = var.database_backup_days
  backup_window             = "02:00-03:00"
  maintenance_window        = "sun:03:30-sun:04:30"
  copy_tags_to_snapshot     = true
  delete_automated_backups  = false
  deletion_protection       = var.deletion_protection
  skip_final_snapshot       = false
  final_snapshot_identifier = "${var.name}-final-${terraform_data.created.output}"

  auto_minor_version_upgrade      = true
  apply_immediately               = var.apply_immediately
  enabled_cloudwatch_logs_exports = ["error", "slowquery"]

  lifecycle {
    # A snapshot counts when the database is made, and never replaces one that is there.
    ignore_changes = [snapshot_identifier]
  }
}
