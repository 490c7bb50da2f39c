CREATE TABLE `audit_entries` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`user_id` bigint unsigned,
	`username` varchar(255) NOT NULL,
	`address` varchar(64) NOT NULL,
	`operation` enum('create','update','delete','run_now','cancel','change_password','refuse_sign_in','quiesce','resume','stop') NOT NULL,
	`kind` enum('job','folder','user','run','workers') NOT NULL,
	`object_id` bigint unsigned,
	`before_fields` mediumtext,
	`after_fields` mediumtext,
	`created_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	CONSTRAINT `audit_entries_id` PRIMARY KEY(`id`)
);
--> statement-breakpoint
CREATE INDEX `audit_entries_age` ON `audit_entries` (`created_at`,`id`) COMMENT 'The log, newest first; and its pruning, oldest first';--> statement-breakpoint
CREATE INDEX `audit_entries_user` ON `audit_entries` (`user_id`,`created_at`,`id`) COMMENT 'What a user did, newest first';--> statement-breakpoint
CREATE INDEX `audit_entries_object` ON `audit_entries` (`kind`,`object_id`,`created_at`,`id`) COMMENT 'What was done to a thing, newest first';