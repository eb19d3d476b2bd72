/* headwater
key = ["subscription_id"]
refresh = "full every 60 minutes"
*/
-- Active subscriptions that end within 90 days of the last refresh: whom to call, and about what.
SELECT
    u.subscription_id,
    u.urn,
    s.name                                              AS school,
    s.town,
    u.[plan],
    u.price,
    u.ends_on,
    DATEDIFF(DAY, CAST(@as_of AS DATE), u.ends_on)      AS days_left
FROM staging.subscription AS u
LEFT JOIN staging.school AS s ON s.urn = u.urn
WHERE u.active = 1
    AND u.ends_on >= CAST(@as_of AS DATE)
    AND u.ends_on < DATEADD(DAY, 90, CAST(@as_of AS DATE))
