resource "aws_lb" "bjr" {
  name                       = var.name
  internal                   = var.internal
  load_balancer_type         = "application"
  security_groups            = [aws_security_group.balancer.id]
  subnets                    = var.public_subnet_ids
  enable_deletion_protection = var.deletion_protection
  drop_invalid_header_fields = true
  # Live output is silent for at most 15 seconds.
  idle_timeout = 60

  dynamic "access_logs" {
    for_each = var.access_log_bucket[*]

    content {
      bucket  = access_logs.value
      prefix  = var.name
      enabled = true
    }
  }
}

resource "aws_lb_target_group" "api" {
  # A change that needs a new group makes it beside the old one, so the name cannot be fixed; six letters are the limit.
  name_prefix          = "bjr-"
  port                 = local.api_port
  protocol             = "HTTP"
  vpc_id               = var.vpc_id
  deregistration_delay = 40
  tags                 = { Name = "${var.name}-api" }

  # Not /health: that is 503 also while Redis or all workers are away, and new API instances would mend neither.
  health_check {
    path                = "/version"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.bjr.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = var.tls_policy
  certificate_arn   = var.certificate_arn != null ? var.certificate_arn : one(aws_acm_certificate_validation.bjr[*].certificate_arn)

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api.arn
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.bjr.arn
  port              = 80
  protocol          = "HTTP"

  default_action {
    type = "redirect"

    redirect {
      protocol    = "HTTPS"
      port        = "443"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_route53_record" "bjr" {
  count = var.zone_id == null ? 0 : 1

  zone_id = var.zone_id
  name    = var.hostname
  type    = "A"

  alias {
    name                   = aws_lb.bjr.dns_name
    zone_id                = aws_lb.bjr.zone_id
    evaluate_target_health = false
  }
}

resource "aws_acm_certificate" "bjr" {
  count = var.certificate_arn == null ? 1 : 0

  domain_name       = var.hostname
  validation_method = "DNS"

  lifecycle {
    create_before_destroy = true
  }
}

# The key is the host name, known before the certificate is: so are the keys of for_each.
resource "aws_route53_record" "certificate" {
  for_each = var.certificate_arn == null ? toset([var.hostname]) : []

  zone_id         = var.zone_id
  name            = one(aws_acm_certificate.bjr[0].domain_validation_options).resource_record_name
  type            = one(aws_acm_certificate.bjr[0].domain_validation_options).resource_record_type
  records         = [one(aws_acm_certificate.bjr[0].domain_validation_options).resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "bjr" {
  count = var.certificate_arn == null ? 1 : 0

  certificate_arn         = aws_acm_certificate.bjr[0].arn
  validation_record_fqdns = [for record in aws_route53_record.certificate : record.fqdn]
}
