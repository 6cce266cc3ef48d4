// @ts-check
/** What a key may do, in the order of the documentation. */
export const API_SCOPES = ['Prospects', 'Providers', 'Scheduling', 'ProductPro.Products', 'KB', 'Tickets'];
/** Which events a key may be told of. */
export const EVENT_SCOPES = ['Patients', 'Encounters', 'Claims', 'Payments', 'Documents'];
export const ALL_SCOPES = [...API_SCOPES, ...EVENT_SCOPES];
