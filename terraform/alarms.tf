# What wakes somebody. BJR's own metrics say more, and earlier: these are about what AWS runs.

locals {
  alarms = length(var.alarm_topic_arns) == 0 ? {} : {
    "api-unhealthy" = {
      description = "No API instance answers: look at the instances' journal (journalctl -u bjr-api) by Session Manager."
      namespace   = "AWS/ApplicationELB", metric = "HealthyHostCount", statistic = "Minimum", threshold = 1
      comparison  = "LessThanThreshold", missing = "breaching"
      dimensions  = { LoadBalancer = aws_lb.bjr.arn_suffix, TargetGroup = aws_lb_target_group.api.arn_suffix }
    }
    "api-errors" = {
      description = "The API answers with 5xx: look at GET /health, then at the database."
      namespace   = "AWS/ApplicationELB", metric = "HTTPCode_Target_5XX_Count", statistic = "Sum", threshold = 20
      comparison  = "GreaterThanThreshold", missing = "notBreaching"
      dimensions  = { LoadBalancer = aws_lb.bjr.arn_suffix, TargetGroup = aws_lb_target_group.api.arn_suffix }
    }
    "database-storage" = {
      description = "Less than 5 GiB left: raise database_storage_max_gib, or keep fewer runs."
      namespace   = "AWS/RDS", metric = "FreeStorageSpace", statistic = "Minimum", threshold = 5368709120
      comparison  = "LessThanThreshold", missing = "breaching"
      dimensions  = { DBInstanceIdentifier = aws_db_instance.bjr.identifier }
    }
    "database-load" = {
      description = "The database's processors are busy: look at its slow queries, or take a larger class."
      namespace   = "AWS/RDS", metric = "CPUUtilization", statistic = "Average", threshold = 85
      comparison  = "GreaterThanThreshold", missing = "breaching"
      dimensions  = { DBInstanceIdentifier = aws_db_instance.bjr.identifier }
    }
  }

  # Each node counts for itself.
  redis_alarms = length(var.alarm_topic_arns) == 0 ? {} : {
    for number in range(1, var.redis_nodes + 1) : format("redis-memory-%03d", number) => {
      description = "Redis is nearly full and will refuse writes: take a larger redis_node_type."
      namespace   = "AWS/ElastiCache", metric = "DatabaseMemoryUsagePercentage", statistic = "Maximum", threshold = 85
      comparison  = "GreaterThanThreshold", missing = "breaching"
      dimensions  = { CacheClusterId = format("%s-%03d", aws_elasticache_replication_group.bjr.id, number) }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "bjr" {
  for_each = merge(local.alarms, local.redis_alarms)

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = 5
  treat_missing_data  = each.value.missing
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}
