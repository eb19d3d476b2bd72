"""Names of fields with personal data, recognized by their words in several European languages. Pure."""

import re
from enum import IntEnum
from functools import cache


class Suspicion(IntEnum):
    """How likely a field is personal.

    A POSSIBLE one is private if its row has a LIKELY one as well: the postcode of a person, but not that of a
    school.
    """

    NONE = 0
    POSSIBLE = 1
    LIKELY = 2


_ROLES = (
    "applicant author beneficiary borrower buyer carer child claimant client contact customer "
    "dependant doctor "
    "donor driver employee father guardian head headteacher husband kin manager member mother nominee owner "
    "parent partner passenger patient payee payer person pupil recipient sender seller signatory "
    "spouse staff "
    "student subscriber supervisor teacher tenant tutor user wife witness worker "
    "kunde kunden mitarbeiter ansprechpartner empfaenger inhaber patienten schueler lehrer "
    "client_e destinataire titulaire eleve salarie cliente destinatario titular alumno empleado paciente "
    "klant medewerker ontvanger leerling"
)
"""Roles that mean a person's name when `name` follows. Those that do so alone are in _PEOPLE."""
_PEOPLE = (
    "payee cardholder card_holder account_holder policy_holder next_of_kin emergency_contact contact_person "
    "kontoinhaber karteninhaber ansprechpartner titulaire_du_compte titular_de_la_cuenta"
)
_BEFORE_NAME = (
    "alternative billing bill_to card card_holder cardholder account_holder christian delivery display "
    "emergency emergency_contact family first fore full given invoice last legal maiden middle nick "
    "patronymic "
    "preferred shipping ship_to sur user"
)
_NAMES = (
    "surname forename firstname lastname fullname nickname username login vorname nachname familienname "
    "geburtsname benutzername prenom nom_de_famille nom_prenom apellido apellidos cognome achternaam "
    "voornaam imie nazwisko fornavn etternavn efternavn fornamn efternamn sobrenome apelido sukunimi etunimi"
)
_BIRTH = (
    r"dob|birth\w*|date_of_birth|born|geburts\w*|geboren|(date_de_)?naissance|(fecha_de_)?nacimiento|nascita|"
    r"(data_de_)?nascimento|geboorte\w*|(data_)?urodzenia|fodsels\w*|fodelse\w*|syntyma\w*"
)
_DOCUMENT = (
    r"ssn|nino|ni_?(number|no|num)|national_insurance\w*|nhs_?(number|no|num)|passport\w*|"
    r"pass(nummer|_nr)|iban|"
    r"sort_?code|(credit_|debit_|bank_)?(card|account)_?(number|no|num|nr)|credit_?card|debit_?card|cvv|cvc|"
    r"konto(nummer|_?nr)?|national_id\w*|id_card\w*|(personal)?ausweis\w*|tax_?(id|number|no)|tin|steuer\w*|"
    r"sozialversicherung\w*|versichertennummer|driving_licen[cs]e\w*|driver_?s?_licen[cs]e\w*|number_plate|"
    r"licen[cs]e_plate|kennzeichen|dni|nif|curp|cpf|bsn|pesel|personnummer|personnr|fodselsnummer|"
    r"codice_fiscale|"
    r"numero_de_securite_sociale|insee|nir|upn"
)
_SECRET = (
    r"pass(word|wd|phrase|code)\w*|pwd|secrets?|(access|auth|api|refresh|session|bearer)_?(token|key)|token|"
    r"pin(_code)?|passwort\w*|kennwort\w*|mot_de_passe|contrasena|wachtwoord|senha|haslo|private_key"
)
_SENSITIVE = (
    r"salar\w*|wages?|income|pay_?(rate|grade)|earnings|gehalt\w*|lohn\w*|einkommen|salaire|salario|"
    r"stipendio|"
    r"ethnic\w*|religion|religious_belief|faith|political\w*|sexual\w*|disab\w*|diagnos\w*|"
    r"medical\w*|illness|"
    r"allerg\w*|medication|health\w*|criminal\w*|pregnan\w*|marital_status|konfession|krankheit\w*|"
    r"behinderung\w*|etnia|ethnie"
)
_ADDRESS = (
    r"(ip_?)?address\w*|street|house_(name|number)|post_?code|postal_code|zip(_?code)?|adresse\w*|anschrift|"
    r"str|strasse|hausnummer|hausnr|plz|postleitzahl|rue|code_postal|direccion|calle|codigo_postal|indirizzo|"
    r"adres|straat|ulica|kod_pocztowy|endereco|osoite|ip"
)


def _any(words: str) -> str:
    return "|".join(sorted(words.split(), key=len, reverse=True))


_PATTERNS: tuple[tuple[str, Suspicion, str], ...] = (
    (
        r"e?_?mails?(_?addr\w*)?|email\w*|mail_?adress\w*|e_?post|correo(_electronico)?|courriel|"
        r"posta_elettronica|adres_e_mail|sahkoposti",
        Suspicion.LIKELY,
        "a mail address",
    ),
    (
        r"(tele)?phone\w*|tel(ephone|efon\w*|efoon\w*|efono|efone)?|mobile\w*|mobil(nummer|nr|"
        r"telefon)?|handy\w*|"
        r"cell|cellulare|movil|celular|fax|portable|gsm|tlf|whatsapp|puhelin\w*|rufnummer",
        Suspicion.LIKELY,
        "a phone number",
    ),
    (
        rf"({_any(_BEFORE_NAME)})_?names?|({_any(_ROLES)})_?names?|{_any(_NAMES)}|name_of_({_any(_ROLES)})",
        Suspicion.LIKELY,
        "a person's name",
    ),
    (_any(_PEOPLE), Suspicion.LIKELY, "a person's name"),
    (_BIRTH, Suspicion.LIKELY, "a date of birth"),
    (_DOCUMENT, Suspicion.LIKELY, "the number of a person's document or account"),
    (_SECRET, Suspicion.LIKELY, "a secret"),
    (_SENSITIVE, Suspicion.LIKELY, "sensitive data"),
    (_ADDRESS, Suspicion.POSSIBLE, "an address"),
)
_WHOLE = {
    "name": "a name",
    "nom": "a name",
    "nombre": "a name",
    "nome": "a name",
    "naam": "a name",
    "gender": "a gender",
    "sex": "a gender",
    "geschlecht": "a gender",
    "nationality": "a nationality",
    "age": "an age",
    **dict.fromkeys(_ROLES.split(), "a person"),
}
"""Names that are ambiguous unless the row has other personal data."""


@cache
def _compiled() -> tuple[tuple[re.Pattern[str], Suspicion, str], ...]:
    return tuple(
        (re.compile(rf"(^|_)(?:{pattern})(_|$)", re.ASCII), suspicion, what)
        for pattern, suspicion, what in _PATTERNS
    )


def by_name(name: str) -> tuple[Suspicion, str]:
    """Return the suspicion for a field's name in snake case, and what the field seems to be."""
    # Numbers are ignored: guardian_1_name is guardian_name.
    words = "_".join(word for word in name.split("_") if not word.isdigit())
    for pattern, suspicion, what in _compiled():
        if pattern.search(words):
            return suspicion, what
    return (Suspicion.POSSIBLE, _WHOLE[words]) if words in _WHOLE else (Suspicion.NONE, "")
