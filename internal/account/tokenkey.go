package account

// organisations is the token of the store's rows that are of a whole organisation.
const organisations = "*"

// TokenKey gives the token_id under which the store has what is of a token; "" = the organisation's.
func TokenKey(token string) string {
	if token == "" {
		return organisations
	}
	return token
}

// TokenOf gives the token of a token_id; "" = it is the organisation's.
func TokenOf(key string) string {
	if key == organisations {
		return ""
	}
	return key
}
