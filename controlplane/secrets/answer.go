package secrets

// answerContext sets envelopes of answers apart from those of credentials: none can be opened as the other.
const answerContext = "answer:"

// SealAnswer makes an envelope of what a call was answered, to be given again to who sends the same call again.
func (v *Vault) SealAnswer(id string, answer []byte) ([]byte, error) {
	return v.Encrypt(answerContext+id, string(answer))
}

// OpenAnswer opens such an envelope, and no other.
func (v *Vault) OpenAnswer(id string, sealed []byte) ([]byte, error) {
	return v.decrypt(answerContext+id, sealed)
}
