/** The answers of the service, by the names of /openapi.json. Times are Unix seconds. */

import type { components } from "../../../src/generated/api";

type Schemas = components["schemas"];

export type Status = Schemas["State"];
export type SessionSummary = Schemas["SessionSummary"];
export type SessionsAnswer = Schemas["SessionsAnswer"];
export type SessionAnswer = Schemas["SessionAnswer"];
export type TimelineEntry = Schemas["TimelineEntry"];
export type ItemAnswer = Schemas["ItemAnswer"];
export type TranscriptAnswer = Schemas["TranscriptAnswer"];
export type ReportAnswer = Schemas["ReportAnswer"];
export type LogsAnswer = Schemas["LogsAnswer"];
export type LogLine = Schemas["LogLineAnswer"];
export type Percentiles = Schemas["Percentiles"];
export type DeliveryAnswer = Schemas["DeliveryAnswer"];
export type DeliveriesAnswer = Schemas["DeliveriesAnswer"];
export type StatsAnswer = Schemas["StatsAnswer"];
export type WorkerAnswer = Schemas["WorkerAnswer"];
export type Spread = Schemas["SpreadAnswer"];
export type FiguresPoint = Schemas["FiguresPoint"];
export type FiguresAnswer = Schemas["FiguresAnswer"];
export type Overview = Schemas["OverviewAnswer"];
export type AgentAnswer = Schemas["AgentAnswer"];
export type AgentsAnswer = Schemas["AgentsAnswer"];
export type CheckAnswer = Schemas["CheckAnswer"];
export type ChecksAnswer = Schemas["ChecksAnswer"];
export type ListenAnswer = Schemas["ListenAnswer"];
export type CommandAnswer = Schemas["CommandAnswer"];
