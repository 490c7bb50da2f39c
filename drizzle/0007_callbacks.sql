CREATE TABLE `deliveries` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`job_id` bigint unsigned NOT NULL,
	`user_id` bigint unsigned NOT NULL,
	`run_id` bigint unsigned NOT NULL,
	`url` varchar(2048) NOT NULL,
	`state` enum('pending','delivered','failed') NOT NULL DEFAULT 'pending',
	`attempts` int unsigned NOT NULL DEFAULT 0,
	`queued_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	`next_attempt_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	`last_status` smallint unsigned,
	`last_error` varchar(500) NOT NULL DEFAULT '',
	`created_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	`updated_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	CONSTRAINT `deliveries_id` PRIMARY KEY(`id`)
);
--> statement-breakpoint
CREATE TABLE `delivery_attempts` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`delivery_id` bigint unsigned NOT NULL,
	`attempt` int unsigned NOT NULL,
	`started_at` datetime(6) NOT NULL,
	`duration_ms` int unsigned NOT NULL,
	`status` smallint unsigned,
	`error` varchar(500) NOT NULL,
	CONSTRAINT `delivery_attempts_id` PRIMARY KEY(`id`)
);
--> statement-breakpoint
ALTER TABLE `audit_entries` MODIFY COLUMN `operation` enum('create','update','delete','run_now','cancel','change_password','refuse_sign_in','quiesce','resume','stop','redeliver','replace_secret') NOT NULL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `callback_policy` enum('every','change') DEFAULT 'every' NOT NULL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `told_success` boolean;--> statement-breakpoint
ALTER TABLE `users` ADD `callback_secret` varchar(64) DEFAULT '' NOT NULL;--> statement-breakpoint
CREATE INDEX `deliveries_claim` ON `deliveries` (`state`,`next_attempt_at`,`id`) COMMENT 'The claim of what is due, in index order; and when the next one is';--> statement-breakpoint
CREATE INDEX `deliveries_job` ON `deliveries` (`job_id`,`id`) COMMENT 'A job''s deliveries, newest first; and their removal with the job';--> statement-breakpoint
CREATE INDEX `deliveries_run` ON `deliveries` (`run_id`,`state`) COMMENT 'Retention: does a run still wait to be told';--> statement-breakpoint
CREATE INDEX `deliveries_age` ON `deliveries` (`created_at`) COMMENT 'Retention, oldest first';--> statement-breakpoint
CREATE INDEX `delivery_attempts_delivery` ON `delivery_attempts` (`delivery_id`,`id`) COMMENT 'A delivery''s tries, newest first';