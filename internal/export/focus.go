package export

import (
	"encoding/csv"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pilotlight-io/pilotlight/internal/fleet"
	"github.com/pilotlight-io/pilotlight/internal/ledger"
)

// FOCUSVersion is a version of the FinOps Open Cost and Usage Specification.
type FOCUSVersion string

// The versions that can be written.
const (
	FOCUS14 FOCUSVersion = "1.4"
	FOCUS12 FOCUSVersion = "1.2"
)

// FOCUSVersions are all of them, the newest first.
var FOCUSVersions = []FOCUSVersion{FOCUS14, FOCUS12}

// us is who provides, hosts, publishes and bills, as far as FOCUS is concerned.
const us = "Pilotlight"

// focusCommon are the columns that all versions have: the mandatory ones, and of the conditional ones those that apply to us.
var focusCommon = []string{
	"BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
	"ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart",
	"ConsumedQuantity", "ConsumedUnit", "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "InvoiceId", "InvoiceIssuerName",
	"ListCost", "ListUnitPrice", "PricingCategory", "PricingCurrency", "PricingCurrencyContractedUnitPrice",
	"PricingCurrencyEffectiveCost", "PricingCurrencyListUnitPrice", "PricingQuantity", "PricingUnit", "ResourceId", "ResourceName", "ResourceType",
	"ServiceCategory", "ServiceName", "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId", "SubAccountId", "SubAccountName",
}

// focusOwn are the columns that a version alone has. 1.3 has renamed who provides, and 1.4 has taken the old names away.
var focusOwn = map[FOCUSVersion][]string{
	FOCUS14: {"HostProviderName", "InvoiceDetailId", "ServiceProviderName"},
	FOCUS12: {"CommitmentDiscountStatus", "ProviderName", "PublisherName"}, // the first is null; rules of 1.2 for what was consumed look at it
}

// FOCUS writes bills as CSV in the columns of FOCUS, in their order of names: a row for each charge, and, where an invoice is closed, one for what is
// rounded to whole cents, so that the BilledCost of its rows adds up to what is payable. The organisation is the billing account, a token the sub-account, the
// model the resource and the SKU.
func FOCUS(w io.Writer, version FOCUSVersion, bills []ledger.Bill) error {
	own, known := focusOwn[version]
	if !known {
		return &ledger.InvalidError{Field: "focus_version", Message: fmt.Sprintf("there is no version %q; use 1.4 or 1.2", version)}
	}
	columns := slices.Sorted(slices.Values(slices.Concat(focusCommon, own)))
	out := csv.NewWriter(w)
	out.UseCRLF = true
	out.Write(columns)
	for _, b := range bills {
		rows, err := focusRows(b)
		if err != nil {
			return err
		}
		for _, row := range rows {
			fields := make([]string, len(columns))
			for i, c := range columns {
				fields[i] = row[c]
			}
			out.Write(fields)
		}
	}
	out.Flush()
	return out.Error() // also of the writes above
}

const consumedUnit = "GPU-Seconds"

// focusRow is a row by its columns; what is not there is null.
type focusRow map[string]string

func focusRows(b ledger.Bill) (rows []focusRow, err error) {
	from, to, err := ledger.Month(b.Invoice.Month)
	if err != nil {
		return nil, fmt.Errorf("writing FOCUS rows: %w", err)
	}
	for _, c := range b.Charges {
		row := billed(b.Invoice, c.Cost, from, to)
		row["InvoiceDetailId"] = ofInvoice(b.Invoice, string(c.Kind)+"/"+c.From.Format("2006-01")+"/"+c.Model+"/"+c.Price.String())
		row["ChargePeriodStart"], row["ChargePeriodEnd"] = focusTime(c.From), focusTime(c.To)
		row["SubAccountId"], row["SubAccountName"] = c.TokenID, c.TokenID
		row["ResourceId"], row["ResourceName"], row["ResourceType"] = c.Model, c.Model, "Model"
		row.describe(c, from)
		rows = append(rows, row)
	}
	if rest := b.Invoice.Rounding(); b.Invoice.State == ledger.InvoiceClosed && rest != 0 {
		row := billed(b.Invoice, rest, from, to)
		row["InvoiceDetailId"] = ofInvoice(b.Invoice, "rounding")
		row["ChargeCategory"], row["ChargeDescription"], row["ChargeFrequency"] = "Adjustment", "Rounding to whole cents", "One-Time"
		row["ChargePeriodStart"], row["ChargePeriodEnd"] = row["BillingPeriodStart"], row["BillingPeriodEnd"]
		rows = append(rows, row)
	}
	return rows, nil
}

// billed is what all rows of an invoice have.
func billed(i *ledger.Invoice, cost fleet.NanoUSD, from, to time.Time) focusRow {
	amount := cost.String()
	return focusRow{
		"BilledCost": amount, "EffectiveCost": amount, "ListCost": amount, "ContractedCost": amount, "PricingCurrencyEffectiveCost": amount,
		"BillingCurrency": "USD", "PricingCurrency": "USD",
		"BillingAccountId": i.Org, "BillingAccountName": i.Org, "BillingPeriodStart": focusTime(from), "BillingPeriodEnd": focusTime(to),
		"InvoiceId": ofInvoice(i, ""), "InvoiceIssuerName": us, "ProviderName": us, "PublisherName": us, "ServiceProviderName": us, "HostProviderName": us,
		"ServiceName": us, "ServiceCategory": "AI and Machine Learning", "ServiceSubcategory": "Generative AI",
	}
}

// ofInvoice names an invoice, or a part of it; "" where it is not issued.
func ofInvoice(i *ledger.Invoice, part string) string {
	switch {
	case i.Number == nil:
		return ""
	case part == "":
		return "INV-" + strconv.FormatInt(*i.Number, 10)
	}
	return part
}

// describe says what is charged. What is credited in its own month is a credit; what was on an invoice before is corrected, as FOCUS has it.
func (row focusRow) describe(c ledger.Charge, month time.Time) {
	row["ChargeFrequency"] = "Usage-Based"
	switch {
	case c.Kind == ledger.KindUsage:
		row["ChargeCategory"], row["ChargeDescription"] = "Usage", "Inference on "+c.Model
		row.price(c)
	case c.From.Before(month):
		row["ChargeCategory"], row["ChargeClass"], row["ChargeDescription"] = "Usage", "Correction", "Correction of inference on "+c.Model
		row["ConsumedQuantity"], row["ConsumedUnit"] = "0.0", consumedUnit
	default:
		row["ChargeCategory"], row["ChargeDescription"], row["ChargeFrequency"] = "Credit", "Correction of inference on "+c.Model, "One-Time"
	}
}

// price says how a charge comes about. The pricing quantity is the cost at the price, because each request is rounded to a nano-dollar; what was
// consumed is as it was measured.
func (row focusRow) price(c ledger.Charge) {
	row["PricingCategory"], row["PricingUnit"], row["ConsumedUnit"] = "Standard", "GPU-Hours", consumedUnit
	for _, column := range []string{"ListUnitPrice", "ContractedUnitPrice", "PricingCurrencyListUnitPrice", "PricingCurrencyContractedUnitPrice"} {
		row[column] = c.Price.String()
	}
	row["ConsumedQuantity"] = quotient(c.GPUUS, int64(time.Second/time.Microsecond))
	if row["PricingQuantity"] = quotient(c.GPUUS, int64(time.Hour/time.Microsecond)); c.Price > 0 {
		row["PricingQuantity"] = quotient(int64(c.Cost), int64(c.Price))
	}
	row["SkuId"], row["SkuPriceId"], row["SkuMeter"] = c.Model, c.Model+"@"+c.Price.String(), "GPU time"
}

func focusTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// quotient writes a/b with one to 15 decimals, rounded: a whole number would be taken for another type of column.
func quotient(a, b int64) string {
	const places = 15
	whole, decimals, _ := strings.Cut(new(big.Rat).SetFrac64(a, b).FloatString(places), ".")
	return whole + "." + decimals[:1] + strings.TrimRight(decimals[1:], "0")
}
