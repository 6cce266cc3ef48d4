// @ts-check
/** Scopes of the API, in the order of the documentation. */
export const API_SCOPES = ['Prospects', 'Providers', 'Scheduling', 'ProductPro.Products', 'KB', 'Tickets'];
/** Scopes of webhook events. */
export const EVENT_SCOPES = ['Patients', 'Encounters', 'Claims', 'Payments', 'Documents'];
export const ALL_SCOPES = [...API_SCOPES, ...EVENT_SCOPES];
