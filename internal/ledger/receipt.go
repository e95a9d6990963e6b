package ledger

import (
	"context"
	"fmt"
)

// Receipt gives the newest record of a token's request, or ErrNotFound. org is the token's.
func (l *Ledger) Receipt(ctx context.Context, org, tokenID, requestID string) (found *Record, err error) {
	err = l.read(ctx, org, func(v *view) (err error) {
		found, err = v.receipt(ctx, org, tokenID, requestID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading a receipt: %w", err)
	}
	if found == nil || found.DispatchedAt.UnixMicro() < l.oldest() {
		return nil, ErrNotFound
	}
	return found, nil
}

// receipt gives the newest record of a token's request, or nil.
func (v *view) receipt(ctx context.Context, org, tokenID, requestID string) (*Record, error) {
	is := func(r *rawFields) bool {
		request := r.texts[fieldRequest]
		if len(request) == 0 {
			request = r.texts[fieldID]
		}
		return string(request) == requestID && string(r.texts[fieldToken]) == tokenID && string(r.texts[fieldKind]) == string(KindUsage)
	}
	var newest *Record
	err := v.eachUnmoved(ctx, func(r *rawFields) bool {
		if is(r) {
			record := r.record()
			newest = &record
		}
		return true
	})
	if newest != nil || err != nil {
		return newest, err
	}
	return v.storedReceipt(ctx, org, tokenID, requestID, is)
}

// storedReceipt is receipt of what is in the store: a request that its caller has named is found by that word, another by its ID.
func (v *view) storedReceipt(ctx context.Context, org, tokenID, requestID string, is func(*rawFields) bool) (*Record, error) {
	named, err := lookUp(ctx, v.tx, org, nameKey(tokenID, requestID), "", is)
	if err != nil {
		return nil, err
	}
	own, err := find(ctx, v.tx, org, requestID)
	if err != nil {
		return nil, err
	}
	if own != nil && (own.record.TokenID != tokenID || own.record.RequestID != requestID || own.record.Kind != KindUsage) {
		own = nil
	}
	if named == nil || own != nil && own.number > named.number {
		named = own
	}
	if named == nil {
		return nil, nil
	}
	return &named.record, nil
}
