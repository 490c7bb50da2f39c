# --- What it is, and where

variable "region" {
  type        = string
  description = "AWS region that everything is in."

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The region must look like eu-central-1."
  }
}

variable "name" {
  type        = string
  description = "Begins the name of every resource. Two installations in one account and region need two names."
  default     = "bjr"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9]|-[a-z0-9])*$", var.name)) && length(var.name) <= 20
    error_message = "The name must have at most 20 small letters, digits and single hyphens, and begin with a letter."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource, beside Application."
  default     = {}
}

variable "bjr_version" {
  type        = string
  description = "Version of BJR: the tag Version of the images. A new one replaces the instances, a few at a time."

  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+([-+][0-9A-Za-z.+-]+)?$", var.bjr_version))
    error_message = "The version must look like 1.2.3."
  }
}

variable "ami_owners" {
  type        = list(string)
  description = "Accounts whose images are looked for: self, or account ids."
  default     = ["self"]

  validation {
    condition     = length(var.ami_owners) > 0 && alltrue([for owner in var.ami_owners : can(regex("^(self|[0-9]{12})$", owner))])
    error_message = "Owners must be self or account ids of 12 digits: an image of just anybody must not be taken."
  }
}

variable "architecture" {
  type        = string
  description = "Processors of the images, x86_64 or arm64. The instance types must be of the same kind."
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "The architecture must be x86_64 or arm64."
  }
}

# --- Network

variable "vpc_id" {
  type        = string
  description = "VPC that everything is in."

  validation {
    condition     = can(regex("^vpc-[0-9a-f]{8,17}$", var.vpc_id))
    error_message = "The VPC must look like vpc-0123456789abcdef0."
  }
}

variable "public_subnet_ids" {
  type        = list(string)
  description = "Subnets of the load balancer, in two or more availability zones. With internal = true they may be private."

  validation {
    condition     = length(distinct(var.public_subnet_ids)) >= 2 && alltrue([for id in var.public_subnet_ids : can(regex("^subnet-[0-9a-f]{8,17}$", id))])
    error_message = "Two or more subnets such as subnet-0123456789abcdef0, in different availability zones."
  }
}

variable "private_subnet_ids" {
  type        = list(string)
  description = "Subnets of instances, database and Redis, in two or more availability zones. Instances reach AWS from here by NAT or endpoints."

  validation {
    condition     = length(distinct(var.private_subnet_ids)) >= 2 && alltrue([for id in var.private_subnet_ids : can(regex("^subnet-[0-9a-f]{8,17}$", id))])
    error_message = "Two or more subnets such as subnet-0123456789abcdef0, in different availability zones."
  }
}

variable "allowed_cidr_blocks" {
  type        = list(string)
  description = "Who may reach the load balancer. The whole internet has to be asked for: [\"0.0.0.0/0\"]."

  validation {
    condition     = length(var.allowed_cidr_blocks) > 0 && alltrue([for block in var.allowed_cidr_blocks : can(cidrnetmask(block))])
    error_message = "One or more IPv4 blocks such as 203.0.113.0/24."
  }
}

variable "worker_egress_cidr_blocks" {
  type        = list(string)
  description = "Where commands of jobs and callbacks may connect to, on any port."
  default     = ["0.0.0.0/0"]

  validation {
    condition     = alltrue([for block in var.worker_egress_cidr_blocks : can(cidrnetmask(block))])
    error_message = "IPv4 blocks such as 10.0.0.0/8."
  }
}

variable "metrics_security_group_id" {
  type        = string
  description = "Security group of the Prometheus that reads metrics of API and workers (port 9464). Null: they listen on 127.0.0.1 only."
  default     = null

  validation {
    condition     = var.metrics_security_group_id == null || can(regex("^sg-[0-9a-f]{8,17}$", var.metrics_security_group_id))
    error_message = "The security group must look like sg-0123456789abcdef0."
  }
}

# --- Name and certificate

variable "hostname" {
  type        = string
  description = "Name that the API is reached by."

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.hostname))
    error_message = "The host name must look like jobs.example.com."
  }
}

variable "zone_id" {
  type        = string
  description = "Hosted zone of Route 53 that gets the record of hostname. Null: the record is made elsewhere, for the output load_balancer."
  default     = null

  validation {
    condition     = var.zone_id == null || can(regex("^Z[0-9A-Z]{5,31}$", var.zone_id))
    error_message = "The zone must look like Z0123456789ABCDEFGHIJ."
  }
}

variable "certificate_arn" {
  type        = string
  description = "Certificate (ACM) for hostname. Null: one is made, and proved by records in zone_id."
  default     = null

  validation {
    condition     = var.certificate_arn == null || can(regex("^arn:[a-z-]+:acm:", var.certificate_arn))
    error_message = "The certificate must be an ARN of ACM."
  }

  validation {
    condition     = var.certificate_arn != null || var.zone_id != null
    error_message = "Without zone_id no certificate can be proved: give certificate_arn or zone_id."
  }
}

variable "tls_policy" {
  type        = string
  description = "Security policy of the HTTPS listener: TLS 1.2 with forward secrecy and 1.3."
  default     = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"

  validation {
    condition     = can(regex("^ELBSecurityPolicy-TLS13-1-[23]-", var.tls_policy))
    error_message = "The policy must be one of TLS 1.2 or 1.3 at least: ELBSecurityPolicy-TLS13-1-2-… or -1-3-…."
  }
}

variable "internal" {
  type        = bool
  description = "Whether the load balancer has private addresses only."
  default     = false
}

variable "access_log_bucket" {
  type        = string
  description = "Bucket for the load balancer's access log, with a policy that lets it write. Null: none."
  default     = null
}

# --- API

variable "api_instance_type" {
  type        = string
  description = "Instance type of the API."
  default     = "t3.small"
}

variable "api_min" {
  type        = number
  description = "API instances at least; 2 survive the loss of a zone."
  default     = 2

  validation {
    condition     = var.api_min >= 1 && floor(var.api_min) == var.api_min
    error_message = "One or more."
  }
}

variable "api_max" {
  type        = number
  description = "API instances at most. Between the two they follow their processors' load."
  default     = 4

  validation {
    condition     = var.api_max >= var.api_min
    error_message = "Not less than api_min."
  }
}

variable "api_settings" {
  type        = map(string)
  description = "Further settings of the API (docs/configuration.md), such as WEB_CONCURRENCY. No secrets: user data can be read."
  default     = {}

  validation {
    condition     = alltrue([for name, value in var.api_settings : can(regex("^[A-Z][A-Z0-9_]*$", name)) && can(regex("^[^\"'\\\\$`\n]*$", value))])
    error_message = "Names are capitals, digits and _; values are one line without quotes, backslashes, $ and backticks."
  }

  validation {
    condition     = alltrue([for name in keys(var.api_settings) : !can(regex("(PASSWORD|SECRET|TOKEN|DATABASE_URL)", name))])
    error_message = "Secrets belong into Secrets Manager, not into user data."
  }

  validation {
    condition     = alltrue([for name in keys(var.api_settings) : !can(regex("^(PORT|AWS_REGION|BJR_DATABASE(_(HOST|PORT|TLS|TLS_CA))?|REDIS_(HOST|PORT|TLS)|METRICS_(PORT|BIND_ADDRESS))$", name))])
    error_message = "PORT and the settings of the database, of Redis and of metrics follow from what is made here."
  }
}

# --- Workers

variable "worker_instance_type" {
  type        = string
  description = "Instance type of the workers: what the commands of jobs need."
  default     = "t3.medium"
}

variable "worker_min" {
  type        = number
  description = "Worker instances at least; 2 survive the loss of one. 0, with worker_max 0: nothing runs, as after a restore."
  default     = 2

  validation {
    condition     = var.worker_min >= 0 && floor(var.worker_min) == var.worker_min
    error_message = "A whole number, 0 or more."
  }
}

variable "worker_max" {
  type        = number
  description = "Worker instances at most. Between the two they follow their processors' load."
  default     = 6

  validation {
    condition     = var.worker_max >= var.worker_min
    error_message = "Not less than worker_min."
  }
}

variable "worker_concurrency" {
  type        = number
  description = "Commands that a worker runs at a time."
  default     = 10

  validation {
    condition     = var.worker_concurrency >= 1 && var.worker_concurrency <= 1000 && floor(var.worker_concurrency) == var.worker_concurrency
    error_message = "From 1 to 1000."
  }
}

variable "worker_drain_seconds" {
  type        = number
  description = "How long a worker that is to end lets its commands finish. The image's unit allows 960 seconds in all."
  default     = 600

  validation {
    condition     = var.worker_drain_seconds >= 0 && var.worker_drain_seconds <= 900 && floor(var.worker_drain_seconds) == var.worker_drain_seconds
    error_message = "From 0 to 900 seconds."
  }
}

variable "worker_volume_gib" {
  type        = number
  description = "Size of a worker's volume: the files of jobs, and outcomes that wait for the database."
  default     = 20

  validation {
    condition     = var.worker_volume_gib >= 16
    error_message = "The image needs 16 GiB or more."
  }
}

variable "worker_settings" {
  type        = map(string)
  description = "Further settings of the workers (docs/configuration.md), such as JOB_MEMORY_LIMIT_BYTES. No secrets: user data can be read."
  default     = {}

  validation {
    condition     = alltrue([for name, value in var.worker_settings : can(regex("^[A-Z][A-Z0-9_]*$", name)) && can(regex("^[^\"'\\\\$`\n]*$", value))])
    error_message = "Names are capitals, digits and _; values are one line without quotes, backslashes, $ and backticks."
  }

  validation {
    condition     = alltrue([for name in keys(var.worker_settings) : !can(regex("(PASSWORD|SECRET|TOKEN|DATABASE_URL)", name))])
    error_message = "Secrets belong into Secrets Manager, not into user data."
  }

  # A drain that takes longer than the image's unit allows is killed, and its runs are lost.
  validation {
    condition     = alltrue([for name in keys(var.worker_settings) : !can(regex("^(WORKER_CONCURRENCY|DRAIN_TIMEOUT_SECONDS|BJR_LIFECYCLE_HOOK|AWS_REGION|BJR_DATABASE(_(HOST|PORT|TLS|TLS_CA))?|REDIS_(HOST|PORT|TLS)|METRICS_(PORT|BIND_ADDRESS))$", name))])
    error_message = "worker_concurrency and worker_drain_seconds are variables; the settings of the database, of Redis and of metrics follow from what is made here."
  }

  validation {
    condition     = tonumber(lookup(var.worker_settings, "KILL_GRACE_SECONDS", "5")) <= 30
    error_message = "KILL_GRACE_SECONDS: 30 at most, or the image's unit kills the worker before it has recorded how its commands ended."
  }
}

variable "instance_policy_arns" {
  type        = set(string)
  description = "Further policies of the instances' roles, such as CloudWatchAgentServerPolicy for an agent in an image of your own."
  default     = []

  validation {
    condition     = alltrue([for arn in var.instance_policy_arns : can(regex("^arn:[a-z-]+:iam::", arn))])
    error_message = "ARNs of policies."
  }
}

# --- Database

variable "database_name" {
  type        = string
  description = "Name of the database, which `bjr migrate` makes."
  default     = "bjr_production"

  validation {
    condition     = can(regex("^[A-Za-z0-9_$-]{1,64}$", var.database_name))
    error_message = "Letters, digits, _, $ and -, 64 at most."
  }
}

variable "database_instance_class" {
  type        = string
  description = "Class of the database's instances."
  default     = "db.m7g.large"

  validation {
    condition     = startswith(var.database_instance_class, "db.")
    error_message = "The class must look like db.m7g.large."
  }
}

variable "database_engine_version" {
  type        = string
  description = "Version of MySQL: 8.4, whose patches RDS applies in the maintenance window."
  default     = "8.4"

  validation {
    condition     = can(regex("^8\\.4(\\.[0-9]+)?$", var.database_engine_version))
    error_message = "MySQL 8.4: the parameter group is for it."
  }
}

variable "database_multi_az" {
  type        = bool
  description = "Whether a second instance in another zone takes over."
  default     = true
}

variable "database_storage_gib" {
  type        = number
  description = "Storage at first."
  default     = 50

  validation {
    condition     = var.database_storage_gib >= 20
    error_message = "RDS takes 20 GiB or more."
  }
}

variable "database_storage_max_gib" {
  type        = number
  description = "Storage that the database may grow to by itself."
  default     = 500

  validation {
    condition     = var.database_storage_max_gib > var.database_storage_gib
    error_message = "More than database_storage_gib."
  }
}

variable "database_backup_days" {
  type        = number
  description = "How many days back the database can be restored to any moment."
  default     = 14

  validation {
    condition     = var.database_backup_days >= 1 && var.database_backup_days <= 35
    error_message = "From 1 to 35: it is never without backups."
  }
}

variable "database_snapshot" {
  type        = string
  description = "Snapshot that a new database begins with. An existing one does not change by it: docs/deployment-ec2.md says how to restore."
  default     = null
}

# --- Redis

variable "redis_node_type" {
  type        = string
  description = "Type of the nodes. BJR keeps little in Redis: heartbeats, locks, live output."
  default     = "cache.t4g.small"

  validation {
    condition     = startswith(var.redis_node_type, "cache.")
    error_message = "The type must look like cache.t4g.small."
  }
}

variable "redis_nodes" {
  type        = number
  description = "Nodes: a primary and its replicas, one of which takes over."
  default     = 2

  validation {
    condition     = var.redis_nodes >= 2 && var.redis_nodes <= 6
    error_message = "From 2 to 6."
  }
}

# --- Keeping and protecting

variable "kms_key_arn" {
  type        = string
  description = "Key that volumes, database, Redis and the secret are encrypted with. Null: AWS's own keys of the account."
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", var.kms_key_arn))
    error_message = "The key must be the ARN of a key, not of an alias."
  }
}

variable "secret_arn" {
  type        = string
  description = "A secret that is made elsewhere, with the members that docs/deployment-ec2.md names and BJR_DATABASE_USERNAME bjr. Null: one is made here."
  default     = null

  validation {
    condition     = var.secret_arn == null || can(regex("^arn:[a-z-]+:secretsmanager:", var.secret_arn))
    error_message = "The secret must be an ARN of Secrets Manager."
  }
}

variable "database_password" {
  type        = string
  description = "With secret_arn: BJR_DATABASE_PASSWORD as it stands there. Given by TF_VAR_database_password; kept in no plan and no state."
  default     = null
  ephemeral   = true

  validation {
    condition     = (var.database_password == null) == (var.secret_arn == null)
    error_message = "Give it with secret_arn, and only with that."
  }
}

variable "redis_password" {
  type        = string
  description = "With secret_arn: REDIS_PASSWORD as it stands there, 16 to 128 letters and digits. Given by TF_VAR_redis_password; kept in no plan and no state."
  default     = null
  ephemeral   = true

  validation {
    condition     = (var.redis_password == null) == (var.secret_arn == null)
    error_message = "Give it with secret_arn, and only with that."
  }
}

variable "secrets_version" {
  type        = number
  description = "One more makes new secrets: passwords of database and Redis, and the key that signs tokens. Instances are replaced."
  default     = 1

  validation {
    condition     = var.secrets_version >= 1 && floor(var.secrets_version) == var.secrets_version
    error_message = "1, 2, 3 …"
  }
}

variable "secret_recovery_days" {
  type        = number
  description = "How long a deleted secret can be brought back."
  default     = 7

  validation {
    condition     = var.secret_recovery_days >= 7 && var.secret_recovery_days <= 30
    error_message = "From 7 to 30."
  }
}

variable "deletion_protection" {
  type        = bool
  description = "Whether AWS refuses to delete database and load balancer. `make undeploy` needs it off, by a `make deploy` before."
  default     = true
}

variable "apply_immediately" {
  type        = bool
  description = "Whether changes of database and Redis happen at once instead of in the maintenance window."
  default     = false
}

variable "alarm_topic_arns" {
  type        = list(string)
  description = "Topics (SNS) that are told of alarms. None: no alarms."
  default     = []

  validation {
    condition     = alltrue([for arn in var.alarm_topic_arns : can(regex("^arn:[a-z-]+:sns:", arn))])
    error_message = "ARNs of SNS topics."
  }
}
