CREATE TABLE `folders` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`user_id` bigint unsigned NOT NULL,
	`name` varchar(255) NOT NULL,
	`name_key` varchar(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`expression` varchar(1000) NOT NULL,
	`created_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	`updated_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	CONSTRAINT `folders_id` PRIMARY KEY(`id`),
	UNIQUE KEY `folders_user_name` (`user_id`,`name_key`) COMMENT 'A user''s folders; names are unique per user'
);
--> statement-breakpoint
CREATE TABLE `job_runs` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`job_id` bigint unsigned NOT NULL,
	`user_id` bigint unsigned NOT NULL,
	`trigger_kind` enum('schedule','manual','retry') NOT NULL,
	`scheduled_for` datetime(6),
	`attempt` smallint unsigned NOT NULL,
	`lease_token` bigint unsigned NOT NULL,
	`worker_id` varchar(36) NOT NULL,
	`started_at` datetime(6) NOT NULL,
	`finished_at` datetime(6),
	`outcome` enum('succeeded','failed','timed_out','canceled','lost'),
	`return_code` int,
	`error_message` text,
	`created_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	`updated_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	CONSTRAINT `job_runs_id` PRIMARY KEY(`id`),
	UNIQUE KEY `job_runs_occurrence` (`job_id`,`scheduled_for`,`attempt`) COMMENT 'One run per occurrence and attempt, whoever marks and whoever claims'
);
--> statement-breakpoint
CREATE TABLE `job_tags` (
	`job_id` bigint unsigned NOT NULL,
	`tag_id` bigint unsigned NOT NULL,
	CONSTRAINT `job_tags_job_id_tag_id_pk` PRIMARY KEY(`job_id`,`tag_id`)
);
--> statement-breakpoint
CREATE TABLE `jobs` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`user_id` bigint unsigned NOT NULL,
	`name` varchar(255) NOT NULL,
	`name_key` varchar(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`command` mediumtext NOT NULL,
	`cron` varchar(255) NOT NULL,
	`timezone` varchar(64) NOT NULL,
	`enabled` boolean NOT NULL DEFAULT true,
	`success_callback` varchar(2048) NOT NULL DEFAULT '',
	`failure_callback` varchar(2048) NOT NULL DEFAULT '',
	`misfire_policy` enum('skip','fire_once','catch_up') NOT NULL DEFAULT 'fire_once',
	`catch_up_max` smallint unsigned NOT NULL DEFAULT 50,
	`state` enum('idle','due','leased') NOT NULL DEFAULT 'idle',
	`next_run` datetime(6),
	`due_at` datetime(6),
	`trigger_kind` enum('schedule','manual','retry') NOT NULL DEFAULT 'schedule',
	`attempt` smallint unsigned NOT NULL DEFAULT 1,
	`lease_owner` varchar(36),
	`lease_token` bigint NOT NULL DEFAULT 0,
	`lease_expires_at` datetime(6),
	`run_id` bigint unsigned,
	`last_run` datetime(6),
	`success` boolean,
	`duration_count` bigint NOT NULL DEFAULT 0,
	`duration_sum_ms` bigint NOT NULL DEFAULT 0,
	`duration_min_ms` bigint NOT NULL DEFAULT 0,
	`duration_max_ms` bigint NOT NULL DEFAULT 0,
	`duration_weighted_ms` double NOT NULL DEFAULT 0,
	`lag_count` bigint NOT NULL DEFAULT 0,
	`lag_sum_ms` bigint NOT NULL DEFAULT 0,
	`lag_min_ms` bigint NOT NULL DEFAULT 0,
	`lag_max_ms` bigint NOT NULL DEFAULT 0,
	`lag_weighted_ms` double NOT NULL DEFAULT 0,
	`created_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	`updated_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	CONSTRAINT `jobs_id` PRIMARY KEY(`id`),
	UNIQUE KEY `jobs_user_name` (`user_id`,`name_key`) COMMENT 'Names are unique per user; one job by its name'
);
--> statement-breakpoint
CREATE TABLE `misfires` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`job_id` bigint unsigned NOT NULL,
	`user_id` bigint unsigned NOT NULL,
	`first_at` datetime(6) NOT NULL,
	`last_at` datetime(6) NOT NULL,
	`occurrence_count` int NOT NULL,
	`reason` enum('down','overlap','lost') NOT NULL,
	`policy` enum('skip','fire_once','catch_up') NOT NULL,
	`created_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	CONSTRAINT `misfires_id` PRIMARY KEY(`id`)
);
--> statement-breakpoint
CREATE TABLE `purges` (
	`job_id` bigint unsigned NOT NULL,
	`created_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	CONSTRAINT `purges_job_id` PRIMARY KEY(`job_id`)
);
--> statement-breakpoint
CREATE TABLE `run_outputs` (
	`run_id` bigint unsigned NOT NULL,
	`stdout` longtext NOT NULL,
	`stderr` longtext NOT NULL,
	`stdout_bytes` bigint NOT NULL DEFAULT 0,
	`stderr_bytes` bigint NOT NULL DEFAULT 0,
	`stdout_truncated` boolean NOT NULL DEFAULT false,
	`stderr_truncated` boolean NOT NULL DEFAULT false,
	CONSTRAINT `run_outputs_run_id` PRIMARY KEY(`run_id`)
);
--> statement-breakpoint
CREATE TABLE `tags` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`user_id` bigint unsigned NOT NULL,
	`name` varchar(255) NOT NULL,
	`name_key` varchar(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	CONSTRAINT `tags_id` PRIMARY KEY(`id`),
	UNIQUE KEY `tags_user_name` (`user_id`,`name_key`) COMMENT 'A user''s tags by name'
);
--> statement-breakpoint
CREATE TABLE `users` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`username` varchar(255) NOT NULL,
	`username_key` varchar(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`password_digest` varchar(72) NOT NULL,
	`token_version` int NOT NULL DEFAULT 0,
	`is_root` boolean NOT NULL DEFAULT false,
	`created_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	`updated_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	CONSTRAINT `users_id` PRIMARY KEY(`id`),
	UNIQUE KEY `users_username` (`username_key`) COMMENT 'Sign-in: one user by name'
);
--> statement-breakpoint
CREATE INDEX `job_runs_list` ON `job_runs` (`job_id`,`id`) COMMENT 'A job''s runs, newest first';--> statement-breakpoint
CREATE INDEX `job_tags_tag` ON `job_tags` (`tag_id`,`job_id`) COMMENT 'The jobs of a tag';--> statement-breakpoint
CREATE INDEX `jobs_claim` ON `jobs` (`state`,`due_at`,`id`) COMMENT 'The claim (claimRuns.ts): due rows in the order of due_at, id. The reaper reads the leased ones by its first column';--> statement-breakpoint
CREATE INDEX `jobs_mark` ON `jobs` (`state`,`enabled`,`next_run`) COMMENT 'The leader''s mark (markDue.ts): idle, enabled rows whose occurrence is near';--> statement-breakpoint
CREATE INDEX `jobs_list` ON `jobs` (`user_id`,`next_run`,`id`) COMMENT 'A user''s jobs in the order of lists: next_run, id';--> statement-breakpoint
CREATE INDEX `misfires_job` ON `misfires` (`job_id`,`id`) COMMENT 'A job''s misfires, newest first';