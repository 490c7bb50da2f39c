region              = "eu-central-1"
bjr_version         = "1.2.3"
vpc_id              = "vpc-0123456789abcdef0"
public_subnet_ids   = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
private_subnet_ids  = ["subnet-0123456789abcdef2", "subnet-0123456789abcdef3"]
allowed_cidr_blocks = ["203.0.113.0/24"]
hostname            = "jobs.example.com"
zone_id             = "Z0123456789ABCDEFGHIJ"

# Mocks have no ephemeral resources, so in tests the secret is one that was made elsewhere.
secret_arn        = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:bjr-AbCdEf"
database_password = "the-database-password"
redis_password    = "the-redis-password"
