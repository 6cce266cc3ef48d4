// Types of the API's responses, as far as the portal uses them.
export interface FieldError { location: string; code: string; message: string }
export interface Problem { title: string; status: number; detail: string; code: string; requestId: string; errors: FieldError[]; data?: unknown }
export interface Pagination { limit: number; hasMore: boolean; nextCursor: string | null }
export interface Paged<Row> { data: Row[]; count: number; pagination: Pagination }
export interface DayUsage { date: string; calls: number; errors: number }
export interface UsageSummary {
  totalCalls: number; successRate: number; avgDurationMs: number; p95DurationMs: number; errorCount: number; days: DayUsage[];
}
export interface Figure { name: string; value: number; atMost: number | null; atLeast: number | null }
export interface Check {
  name: string; status: 'ok' | 'degraded' | 'failed'; detail: string; meaning: string; runbook: string; since: string | null; ageSeconds: number | null;
  figures: Figure[]; practices: { count: number; reasons: { reason: string; count: number }[]; listed: { practicepass: string; reason: string; since: string | null }[] } | null;
  durationMs: number;
}
export interface Readiness { status: 'ready' | 'degraded' | 'notReady'; checkedAt: string; tzdata: string; checks: Check[] }
export interface EndpointUsage { method: string; endpoint: string; calls: number; errors: number; avgDurationMs: number }
export interface Overview extends UsageSummary { topEndpoints: EndpointUsage[]; multiTenant: boolean }
export interface Partner {
  id: string; company: string; contactName: string | null; email: string | null; phone: string | null; website: string | null;
  notificationEmail: string | null; status: 'active' | 'suspended'; createdAt: string; updatedAt: string;
  identityChangedAt: string | null;
}
export interface FieldChange { field: string; from: string | null; to: string | null }
export interface PartnerDetail extends Partner {
  identityChanges: { time: string; changes: FieldChange[] }[]; practices: string[];
  keys: { id: string; name: string; practicepass: string; scopes: string[]; expiresAt: string | null }[];
  subscriptions: { id: number; practicepass: string; hookUrl: string; status: SubscriptionStatus }[];
}
export interface Key {
  id: string; name: string; partnerId: string; partner: string; practicepass: string; scopes: string[]; prefix: string;
  lastUsedAt: string | null; status: 'active' | 'expired' | 'revoked'; expiresAt: string | null; allowedCidrs: string[];
  rateLimit: number; createdAt: string; previousSecretUntil: string | null;
}
export interface NewKey extends Key { apiKey: string }
export interface AccessRequest {
  id: string; company: string; practice: string; contact: string; email: string; requestedScopes: string[]; message: string | null;
  status: 'pending' | 'approved' | 'denied' | 'withdrawn'; expiresAt: string; createdAt: string; decidedAt: string | null; reason: string | null;
  scopes: string[] | null; practicepass: string | null; partnerId: string | null; claimUntil: string | null; keyId: string | null;
  keyExpiresAt: string | null; allowedCidrs: string[] | null; rateLimit: number | null;
}
export interface Approved { claimUrl: string; claimUntil: string; partnerId: string; practicepass: string; scopes: string[] }
export interface Call {
  time: string; method: string; endpoint: string; status: number; durationMs: number; partner: string | null; keyName: string | null;
  practicepass: string | null; ip: string | null; requestId: string; attemptedKeyId: string | null;
}
export interface AuditRecord {
  id: string; time: string; action: string; target: string | null; fields: string[]; changes: FieldChange[]; credential: string; status: number | null;
  ip: string | null; requestId: string;
}
export interface Delivery {
  id: number; subscriptionId: number; practicepass: string; event: string; eventId: string; status: string; success: boolean;
  statusCode: number | null; attempts: number; errorMessage: string | null; durationMs: number | null; createdAt: string;
  nextAttemptAt: string | null;
}
export interface DeliveryDetail extends Delivery {
  attemptLog: { at: string; statusCode: number | null; durationMs: number; errorMessage: string | null; answer: string }[];
}
export type SubscriptionStatus = 'active' | 'disabled' | 'paused' | 'suspended';
export interface AdminSubscription {
  id: number; partnerId: string; partner: string | null; practicepass: string; hookUrl: string; scopes: string[]; suspendedScopes: string[];
  status: SubscriptionStatus; disabledReason: string | null; pausedAt: string | null; heldUntil: string | null; failingSince: string | null;
  lastSuccessAt: string | null; lastError: { at: string; statusCode: number | null; message: string | null } | null; createdAt: string;
}
export interface Subscription {
  id: number; hookUrl: string; scopes: string[]; suspendedScopes: string[]; status: SubscriptionStatus; disabledReason: string | null; disabledAt: string | null;
  lane: 'fast' | 'slow'; heldUntil: string | null; rate: number | null; failingSince: string | null; lastSuccessAt: string | null;
  lastError: { at: string; statusCode: number | null; message: string | null } | null; createdAt: string; updatedAt: string;
}
export interface Me {
  id: string; company: string; contactName: string | null; email: string | null; phone: string | null; website: string | null;
  notificationEmail: string | null;
  key: { name: string; practicepass: string; scopes: string[]; rateLimit: number; expiresAt: string | null };
}
export interface DispatchState {
  practicepass: string; lastLogId: number; epoch?: number; epochSince?: string; islands?: { from: number; to: number }[]; gaps?: number; droppedGaps?: number;
  unreadableRows?: number; lastUnreadableLogId?: number; unreadableTimes?: number;
  unknown?: { table: string; action: string; rows: number; lastLogId: number }[]; otherUnknownRows?: number;
}
export interface Monitor {
  summary: { totalSubscriptions: number; activeSubscriptions: number; totalDeliveries: number; failedDeliveries: number; successRate: number };
  dispatchStates: DispatchState[]; dispatchStatesOmitted?: number;
  recentDeliveries: Delivery[];
  queue: { dueRetries: number; oldestUndeliveredEvent: { eventId: string; practicepass: string; createdAt: string } | null; deadLetters: number | null };
  breakers: { id: number; partnerId: string; practicepass: string; state: 'slow' | 'open' | 'half-open' | 'held' | 'paced'; failingSince: string | null; slowSince: string | null; openUntil: string | null; heldUntil: string | null; rate: number | null }[];
  dataProblems: { practicepass: string | null; table: string; count: number; lastId: string; lastSeenAt: string }[];
  disabledSubscriptions: { id: number; partnerId: string; practicepass: string; reason: string | null; since: string | null }[];
  pagination: { limit: number; offset: number; hasMore: boolean };
}
