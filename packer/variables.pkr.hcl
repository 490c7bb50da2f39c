variable "region" {
  type        = string
  description = "Region that the images are built in."
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The region must look like us-east-1."
  }
}

variable "copy_to_regions" {
  type        = list(string)
  description = "Further regions that get a copy."
  default     = []

  validation {
    condition     = alltrue([for region in var.copy_to_regions : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", region))])
    error_message = "The regions must look like us-east-1."
  }
}

variable "debian_release" {
  type        = number
  description = "Debian release that the images are made from."
  default     = 13

  validation {
    condition     = var.debian_release >= 13
    error_message = "The services need systemd 254, which came with Debian 13."
  }
}

variable "architecture" {
  type        = string
  description = "Processors that the images are for: x86_64 or arm64. The instance type must be of the same kind."
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "The architecture must be x86_64 or arm64."
  }
}

variable "instance_type" {
  type        = string
  description = "Machine that an image is built on. Null: one that suits the architecture."
  default     = null
}

variable "subnet_id" {
  type        = string
  description = "Subnet to build in, from which the internet can be reached. Null: the default VPC's."
  default     = null

  validation {
    condition     = var.subnet_id == null || can(regex("^subnet-[0-9a-f]{8,17}$", var.subnet_id))
    error_message = "The subnet must look like subnet-0123456789abcdef0."
  }
}

variable "root_volume_gib" {
  type        = number
  description = "Size of the root volume."
  default     = 16

  validation {
    condition     = var.root_volume_gib >= 8
    error_message = "Debian and BJR need 8 GiB or more."
  }
}

variable "is_encrypted" {
  type        = bool
  description = "Whether the root volume is encrypted. An encrypted image can be shared only with a key of your own."
  default     = true
}

variable "kms_key_id" {
  type        = string
  description = "Key that the root volume is encrypted with. Null: the account's default key for EBS."
  default     = null
}

variable "share_with_accounts" {
  type        = list(string)
  description = "Other AWS accounts that may start machines from the images."
  default     = []

  validation {
    condition     = alltrue([for account in var.share_with_accounts : can(regex("^[0-9]{12}$", account))])
    error_message = "Accounts are numbers of 12 digits."
  }
}

variable "release" {
  type        = string
  description = "Archive of the release; packer/build.sh makes it."
  default     = "../.bjr/release/bjr.tar.gz"

  validation {
    condition     = can(regex("\\.tar\\.gz$", var.release))
    error_message = "The release must be a .tar.gz file."
  }
}

variable "revision" {
  type        = string
  description = "Commit of the release, for the tag Revision; packer/build.sh gives it."
  default     = "unknown"
}

variable "database_ca" {
  type        = string
  description = "File of certificates (PEM) that the database's certificate is checked with, such as RDS's global-bundle.pem. Empty: none."
  default     = ""
}

variable "ssm_agent" {
  type = object({
    url    = string
    sha256 = string
  })
  description = "Debian package of Amazon's SSM agent and its digest, for a shell without SSH. Null: no agent."
  default     = null

  validation {
    condition     = var.ssm_agent == null || can(regex("^https://", var.ssm_agent.url)) && can(regex("^[0-9a-f]{64}$", var.ssm_agent.sha256))
    error_message = "The agent's address must begin with https:// and its digest have 64 hexadecimal digits."
  }
}

variable "tags" {
  type        = map(string)
  description = "Further tags of the images and of the machines that they are built on."
  default     = {}
}
