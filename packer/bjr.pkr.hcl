locals {
  # The one place that the version stands in.
  version = jsondecode(file("${path.root}/../package.json")).version
  built   = formatdate("YYYYMMDD-hhmmss", timestamp())

  instance_type = coalesce(var.instance_type, var.architecture == "arm64" ? "t4g.medium" : "t3.medium")
  debian_arch   = var.architecture == "arm64" ? "arm64" : "amd64"

  tags = merge(var.tags, {
    Version  = local.version
    Revision = var.revision
  })
}

source "amazon-ebs" "debian" {
  region        = var.region
  ami_regions   = var.copy_to_regions
  ami_users     = var.share_with_accounts
  instance_type = local.instance_type
  subnet_id     = var.subnet_id
  ssh_username  = "admin"

  source_ami_filter {
    owners      = ["136693071363"] # Debian
    most_recent = true
    filters = {
      name                = "debian-${var.debian_release}-${local.debian_arch}-*"
      architecture        = var.architecture
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
  }

  encrypt_boot = var.is_encrypted
  kms_key_id   = var.kms_key_id

  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_type           = "gp3"
    volume_size           = var.root_volume_gib
    delete_on_termination = true
  }

  # Version 2 alone, for the machine of the build and for every machine from the image. One hop: not through a container.
  imds_support = "v2.0"
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
}

build {
  name = "bjr"

  source "amazon-ebs.debian" {
    name            = "bjr"
    ami_name        = "bjr-${local.version}-${var.architecture}-${local.built}"
    ami_description = "BJR ${local.version}: API, worker, MariaDB and Redis"
    tags            = merge(local.tags, { Service = "bjr" })
    run_tags        = merge(local.tags, { Name = "packer-bjr" })
  }

  source "amazon-ebs.debian" {
    name            = "bjr-api"
    ami_name        = "bjr-api-${local.version}-${var.architecture}-${local.built}"
    ami_description = "BJR ${local.version}: API"
    tags            = merge(local.tags, { Service = "bjr-api" })
    run_tags        = merge(local.tags, { Name = "packer-bjr-api" })
  }

  source "amazon-ebs.debian" {
    name            = "bjr-worker"
    ami_name        = "bjr-worker-${local.version}-${var.architecture}-${local.built}"
    ami_description = "BJR ${local.version}: worker"
    tags            = merge(local.tags, { Service = "bjr-worker" })
    run_tags        = merge(local.tags, { Name = "packer-bjr-worker" })
  }

  # cloud-init of the new machine uses apt too.
  provisioner "shell" {
    inline = ["cloud-init status --wait || true", "mkdir -p /tmp/bjr"]
  }

  provisioner "file" {
    sources     = ["${path.root}/files", "${path.root}/provision", "${path.root}/systemd"]
    destination = "/tmp/bjr/"
  }

  provisioner "file" {
    source      = "${path.root}/${var.release}"
    destination = "/tmp/bjr/bjr.tar.gz"
  }

  provisioner "file" {
    content     = var.database_ca == "" ? "" : file(var.database_ca)
    destination = "/tmp/bjr/files/database-ca.pem"
  }

  provisioner "shell" {
    inline          = ["/tmp/bjr/provision/install.sh"]
    execute_command = "chmod +x {{ .Path }}; sudo env {{ .Vars }} {{ .Path }}"
    environment_vars = [
      "BJR_ROLE=${source.name}",
      "BJR_IS_IMAGE=yes",
      "SSM_AGENT_URL=${var.ssm_agent == null ? "" : var.ssm_agent.url}",
      "SSM_AGENT_SHA256=${var.ssm_agent == null ? "" : var.ssm_agent.sha256}",
    ]
  }

  # What is in the image, beside it too.
  provisioner "file" {
    direction   = "download"
    source      = "/tmp/bjr/lists/"
    destination = "${path.root}/../.bjr/images/${source.name}-${local.version}/"
  }

  provisioner "shell" {
    inline = ["sudo rm -rf /tmp/bjr"]
  }

  post-processor "manifest" {
    output     = "${path.root}/../.bjr/images/manifest.json"
    strip_path = true
    custom_data = {
      version  = local.version
      revision = var.revision
    }
  }
}
