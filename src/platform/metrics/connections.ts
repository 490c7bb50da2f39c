import type { Registry } from 'prom-client';
import { addGauge, addLabelledGauge } from './gauge.ts';

/** The pool of connections to the database. */
interface PoolUse {
  busy: number;
  idle: number;
  /** Statements and transactions that wait for a connection. */
  waiting: number;
  max: number;
}

export function addPool(registry: Registry, use: () => PoolUse): void {
  addLabelledGauge(registry, {
    name: 'bjr_database_connections',
    help: 'Connections of the pool to the database.',
    label: 'state',
    read: () => ({ busy: use().busy, idle: use().idle }),
  });
  addGauge(registry, {
    name: 'bjr_database_connections_max',
    help: 'The most connections that the pool opens (BJR_DATABASE_POOL).',
    read: () => use().max,
  });
  addGauge(registry, {
    name: 'bjr_database_requests_waiting',
    help: 'Statements and transactions that wait for a connection of the pool.',
    read: () => use().waiting,
  });
}

export function addRedis(registry: Registry, isReady: () => boolean): void {
  addGauge(registry, {
    name: 'bjr_redis_up',
    help: '1 where this process is connected to Redis.',
    aggregator: 'min',
    read: () => Number(isReady()),
  });
}
