CREATE TABLE `legacy_ids` (
	`kind` enum('user','job','folder','run') NOT NULL,
	`legacy_id` bigint unsigned NOT NULL,
	`id` bigint unsigned NOT NULL,
	CONSTRAINT `legacy_ids_kind_legacy_id_pk` PRIMARY KEY(`kind`,`legacy_id`)
);
