output "url" {
  description = "Where the API is."
  value       = "https://${var.hostname}"
}

output "load_balancer" {
  description = "Name of the load balancer, for a DNS record that is made elsewhere."
  value       = aws_lb.bjr.dns_name
}

output "secret_arn" {
  description = "The secret; the passwords of the first users are in it."
  value       = local.secret_arn
}

output "database_endpoint" {
  description = "Address and port of the database."
  value       = aws_db_instance.bjr.endpoint
}

output "redis_endpoint" {
  description = "Address of Redis."
  value       = aws_elasticache_replication_group.bjr.primary_endpoint_address
}

output "autoscaling_groups" {
  description = "Names of the groups of API and workers."
  value       = { api = aws_autoscaling_group.api.name, worker = aws_autoscaling_group.worker.name }
}

output "images" {
  description = "Images that the instances are made from."
  value       = { for service, image in data.aws_ami.bjr : service => image.id }
}

output "final_snapshot" {
  description = "Name of the snapshot that `make undeploy` leaves behind."
  value       = aws_db_instance.bjr.final_snapshot_identifier
}
