// An account from a token that the user has, without a login here.

import { api } from "../api.js";
import { dialog } from "../parts/dialog.js";
import { toast } from "../parts/feedback.js";
import { field, form } from "../parts/form.js";

export function importToken(provider, done) {
  const id = encodeURIComponent(provider.id);
  dialog(`A token of ${provider.name}`, (close) => {
    const fields = [
      field({ name: "accessToken", label: "Access token", kind: "password", required: true, autocomplete: "off", hint: "Stored encrypted, never shown again." }),
      field({ name: "refreshToken", label: "Refresh token", kind: "password", optional: true, autocomplete: "off", hint: "To renew it, the gateway also needs an OAuth client." }),
      field({ name: "expiresAt", label: "Expires", kind: "datetime-local", optional: true }),
    ];
    const submit = async ({ accessToken, refreshToken, expiresAt }) => {
      if (!accessToken) throw { fields: [{ field: "accessToken", message: "A token is needed here." }] };
      const { connection } = await api.post(`/api/oauth/${id}/import`, {
        accessToken,
        ...(refreshToken && { refreshToken }),
        ...(expiresAt && { expiresAt: new Date(expiresAt).toISOString() }), // what the user enters is local time
      });
      close();
      toast(`${provider.name} added.`);
      done(connection);
    };
    return form({ fields, yes: "Add", cancel: close, submit }).element;
  });
}
